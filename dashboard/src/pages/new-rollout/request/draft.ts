import type { RolloutOptions, RolloutPolicy } from '@readapt/client';

export interface WaveDraft {
  readonly kind: 'percent' | 'count' | 'label';
  readonly value: string;
}

/** What stands in the form: texts as they were typed, of which an empty one leaves the choice to the service. */
export interface Draft {
  /** Name of the base model. */
  readonly baseModel: string;
  readonly target: 'existing' | 'new';
  readonly versionId: string;
  readonly version: string;
  readonly path: string;
  readonly servingName: string;
  readonly strategy: '' | NonNullable<RolloutOptions['strategy']>;
  /** Whether the policy of the base model steers the rollout, or what stands below. */
  readonly steering: 'base_model' | 'own';
  /** Whether the base model has a policy, in whose place an own one stands even if it is empty. */
  readonly baseModelHasPolicy: boolean;
  /** Identifiers. */
  readonly tenants: readonly string[];
  readonly adapters: string;
  readonly labels: string;
  readonly waves: readonly WaveDraft[];
  readonly approve: 'auto' | 'manual' | 'url';
  readonly approveUrl: string;
  readonly unreadyShare: string;
  readonly metricDrop: string;
  readonly negativeFlips: string;
  readonly minJobs: string;
  readonly concurrency: string;
  /** As the browser gives it, by the clock of the reader: `2026-11-28T18:00`. */
  readonly deadline: string;
  readonly budget: string;
  readonly controlFraction: string;
  readonly priority: '' | NonNullable<RolloutPolicy['priority']>;
  readonly provisional: '' | NonNullable<RolloutPolicy['provisional']>;
  readonly supersede: '' | NonNullable<RolloutPolicy['supersede']>;
  readonly late: '' | NonNullable<RolloutPolicy['late']>;
}

/** What was entered. Until somebody chooses (null), it follows from the base model who steers the rollout. */
export type Entered = Omit<Draft, 'steering' | 'baseModelHasPolicy'> & { readonly steering: Draft['steering'] | null };

export const EMPTY_DRAFT: Draft = {
  baseModel: '',
  target: 'existing',
  versionId: '',
  version: '',
  path: '',
  servingName: '',
  strategy: '',
  steering: 'own',
  baseModelHasPolicy: false,
  tenants: [],
  adapters: '',
  labels: '',
  waves: [],
  approve: 'auto',
  approveUrl: '',
  unreadyShare: '',
  metricDrop: '',
  negativeFlips: '',
  minJobs: '',
  concurrency: '',
  deadline: '',
  budget: '',
  controlFraction: '',
  priority: '',
  provisional: '',
  supersede: '',
  late: '',
};
