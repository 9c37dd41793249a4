import type { RolloutOptions, RolloutPolicy } from '@readapt/client';

export interface WaveDraft {
  readonly kind: 'percent' | 'count' | 'label';
  readonly value: string;
}

/** Content of the form for a new rollout. Texts are kept as typed; an empty one leaves the choice to the service. */
export interface Draft {
  /** Name of the base model. */
  readonly baseModel: string;
  readonly target: 'existing' | 'new';
  readonly versionId: string;
  readonly version: string;
  readonly path: string;
  readonly servingName: string;
  readonly strategy: '' | NonNullable<RolloutOptions['strategy']>;
  /** Whether the rollout uses the base model's policy, or its own one (`own`) from the form's fields. */
  readonly steering: 'base_model' | 'own';
  /** Whether the base model has a policy. An own policy then replaces it even if all its fields are empty. */
  readonly baseModelHasPolicy: boolean;
  /** Identifiers of the tenants whose adapters are carried over. */
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
  /** Value of the `datetime-local` input, in the browser's time zone: `2026-11-28T18:00`. */
  readonly deadline: string;
  readonly budget: string;
  readonly controlFraction: string;
  readonly priority: '' | NonNullable<RolloutPolicy['priority']>;
  readonly provisional: '' | NonNullable<RolloutPolicy['provisional']>;
  readonly supersede: '' | NonNullable<RolloutPolicy['supersede']>;
  readonly late: '' | NonNullable<RolloutPolicy['late']>;
}

/** Entered values. `steering` is null until somebody chooses: the base model's policy then applies if it has one. */
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
