import type { ServiceOptions } from '../../../remote/service.ts';
import type { PolicyFlags } from './policy-options.ts';

export interface CreateOptions extends ServiceOptions, PolicyFlags {
  readonly baseModel?: string;
  readonly baseVersion?: string;
  readonly path?: string;
  readonly servingName?: string;
  readonly retiresAt?: string;
  readonly file?: string;
  readonly dryRun?: boolean;
  readonly watch?: boolean;
  readonly untilWaiting?: boolean;
  readonly control?: 'none' | 'sample' | 'all';
  readonly controlFraction?: number;
}
