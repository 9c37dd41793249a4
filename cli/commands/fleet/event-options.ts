import type { ServiceOptions } from '../../remote/service.ts';

export interface EventOptions extends ServiceOptions {
  readonly follow?: boolean;
  readonly since?: string;
  readonly rollout?: string;
  readonly job?: string;
  readonly type?: readonly string[];
  readonly limit?: number;
}
