import type { JobFilter } from '../../remote/client.ts';
import type { YesOption } from '../../remote/decided.ts';
import type { ServiceOptions } from '../../remote/service.ts';

/** What can be done to jobs. */
export type JobAction = 'pause' | 'resume' | 'cancel' | 'retry';

export interface ActionOptions extends ServiceOptions, YesOption {
  readonly rollout?: string;
  readonly state?: JobFilter['states'];
  readonly tenant?: readonly string[];
  readonly adapter?: readonly string[];
  readonly error?: readonly string[];
  readonly label?: Readonly<Record<string, string>>;
  readonly all?: boolean;
  readonly dryRun?: boolean;
  readonly strategy?: string;
  readonly prefer?: string;
  readonly maxSteps?: number;
  readonly learningRate?: number;
  readonly searchEvaluations?: number;
}
