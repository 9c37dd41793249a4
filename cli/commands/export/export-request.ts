import type { ServiceOptions } from '../../remote/service.ts';

/** Systems for which `readapt export k8s` can write Kubernetes objects. */
export const FORMATS = ['gateway-api', 'llm-d', 'dynamo'] as const;

/** Options of `readapt export k8s`. */
export interface ExportOptions extends ServiceOptions {
  readonly pool: readonly string[];
  readonly format: (typeof FORMATS)[number];
  readonly name: string;
  readonly namespace?: string;
  readonly gateway?: string;
  readonly gatewayNamespace?: string;
  readonly hostname?: readonly string[];
  readonly modelHeader: string;
  readonly rewrites: boolean;
  readonly configMaps: number;
  readonly sourceUri?: string;
  readonly output?: string;
  readonly follow?: boolean;
  readonly interval: number;
}
