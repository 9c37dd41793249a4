import type { DataSpec } from '../data/task-data.ts';
import type { GivenAdapterOptions } from '../options/adapter-options.ts';
import type { GateRule } from '../options/gates.ts';
import type { GivenJobOptions } from '../options/job-options.ts';
import type { MetricName } from '../options/metrics.ts';
import type { GateOutcomes } from './measurements/gate-outcomes.ts';

/** Version that margins count from, if it is not the one that is carried over. Plain JSON. */
export interface AnchorSpec {
  /** Number of the version, for messages; null if it was deleted. */
  readonly number: number | null;
  /** Number of the version that is carried over. */
  readonly oldNumber: number;
  /** Stored outcomes on its own base; null if there are none. */
  readonly outcomes: GateOutcomes | null;
  /**
   * PEFT folder of the version, and its base. The job measures the version with them if the stored outcomes are for
   * other rows. Null if either is gone.
   */
  readonly source: { readonly adapter: string; readonly base: string } | null;
}

/** Specification of one adaptation job or control. All paths are absolute; the files are only read. Plain JSON. */
export interface JobSpec {
  readonly jobId: string;
  /** A `control` trains from scratch, publishes nothing, and ends at the first pass of the gate. */
  readonly kind: 'adaptation' | 'control';
  readonly oldBase: string;
  readonly newBase: string;
  /**
   * Name of the new base in serving engines, which published adapters have as `base_model_name_or_path`. Default:
   * `newBase`, as it is given.
   */
  readonly newBaseName?: string;
  /** PEFT folder of the adapter version for the old base. */
  readonly adapter: string;
  readonly data: DataSpec;
  readonly metric: MetricName;
  readonly gate: GateRule;
  /** Largest number of tokens spent on one measurement of an adapter on gate rows or search rows. Default: no limit. */
  readonly measuredTokens?: number;
  /** Options of the adapter's row format. Default: taken from the adapter or measured. */
  readonly adapterOptions?: GivenAdapterOptions;
  /** Folder with the evolution between the two bases; null computes it within the job. */
  readonly evolution: string | null;
  readonly options: GivenJobOptions;
  /**
   * Folder of this job alone, on durable storage. It holds the checkpoints from which a restarted job resumes. The
   * caller removes it when the job has ended for good.
   */
  readonly workDir: string;
  /**
   * Stored outcomes of the old adapter on the old base. If they are missing or do not match the job, the job measures
   * the adapter.
   */
  readonly oldOutcomes?: GateOutcomes | null;
  /**
   * Whether the job trusts the outcomes stored beside the adapter (`readapt-outcomes.json`) if it is given none. A
   * service does not: anyone who stores poor outcomes of an old version would have a gate that everything passes.
   * Default false.
   */
  readonly trustsOutcomes?: boolean;
  /**
   * Version from which the margin of a relative or non-inferiority gate counts, so that losses do not add up over
   * versions. Default: the version that is carried over.
   */
  readonly anchor?: AnchorSpec | null;
  /** Identifier of the adapter version that is carried over, for the published `readapt.json`. */
  readonly parent?: string;
  /**
   * Baselines to measure. `needed` leaves out those that only a report shows; `measureBaselines` measures them later.
   * Default `all`.
   */
  readonly baselines?: 'all' | 'needed';
  /**
   * Time at which the old adapter is measured although the gate does not compare with it: `before` the candidates,
   * which are then compared with it row by row, so that published ones have `negativeFlips`, or `after` a candidate is
   * published, for its value alone. Default: never.
   */
  readonly measuresOld?: 'before' | 'after';
}
