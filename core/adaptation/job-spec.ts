import type { DataSpec } from '../data/task-data.ts';
import type { GivenAdapterOptions } from '../options/adapter-options.ts';
import type { GateRule } from '../options/gates.ts';
import type { GivenJobOptions } from '../options/job-options.ts';
import type { MetricName } from '../options/metrics.ts';
import type { GateOutcomes } from './measurements/gate-outcomes.ts';

/**
 * Anchor of a job: an earlier version with which a gate with a margin compares candidates, in place of the version that
 * is carried over. A candidate may be worse than the anchor by no more than the margin. Plain JSON.
 */
export interface AnchorSpec {
  /** Version number of the anchor, for messages; null if the version was deleted. */
  readonly number: number | null;
  /** Number of the version that is carried over, for messages. */
  readonly oldNumber: number;
  /** Stored outcomes of the anchor on its own base; null if there are none. */
  readonly outcomes: GateOutcomes | null;
  /**
   * PEFT folder of the anchor and folder of its base, so that the job can measure the anchor if the stored outcomes do
   * not fit the job's rows. Null if either folder no longer exists.
   */
  readonly source: { readonly adapter: string; readonly base: string } | null;
}

/** Specification of one adaptation job or control. All paths are absolute; the files are only read. Plain JSON. */
export interface JobSpec {
  readonly jobId: string;
  /**
   * Kind of the job. A `control` trains from scratch, publishes nothing, and ends as soon as a candidate passes the
   * gate.
   */
  readonly kind: 'adaptation' | 'control';
  readonly oldBase: string;
  readonly newBase: string;
  /**
   * Name by which serving engines know the new base. It is written into published adapters as
   * `base_model_name_or_path`. Default: `newBase` as given.
   */
  readonly newBaseName?: string;
  /** PEFT folder of the adapter version that is carried over. This version was made for the old base. */
  readonly adapter: string;
  readonly data: DataSpec;
  readonly metric: MetricName;
  readonly gate: GateRule;
  /**
   * Largest number of tokens that one measurement of an adapter may take, on the gate rows or on the search rows. If
   * the rows would take more, a sample of them is measured. Default: no limit.
   */
  readonly measuredTokens?: number;
  /**
   * Options of the format in which the adapter's rows become tokens. An option that is left out is read from the
   * adapter's files, or found by measuring the adapter.
   */
  readonly adapterOptions?: GivenAdapterOptions;
  /** Folder with the evolution between the two bases; if it is null, the job computes the evolution. */
  readonly evolution: string | null;
  readonly options: GivenJobOptions;
  /**
   * Folder of this job alone, on durable storage. It holds the checkpoints from which a restarted job resumes. The
   * caller removes it when the job has ended for good.
   */
  readonly workDir: string;
  /**
   * Stored outcomes of the old adapter on the old base. Without them, or if they were measured with other rows or
   * settings than the job's, the job measures the adapter.
   */
  readonly oldOutcomes?: GateOutcomes | null;
  /**
   * Whether the job uses the outcomes stored beside the adapter (`readapt-outcomes.json`) if `oldOutcomes` is not
   * given. A service does not set this: a tenant could store poor outcomes of the old version, and then every candidate
   * would pass the gate. Default false.
   */
  readonly trustsOutcomes?: boolean;
  /**
   * Earlier version with which a relative or non-inferiority gate compares candidates, in place of the version that is
   * carried over. If each version were compared with the one before it, losses would add up over versions. Default:
   * none; candidates are compared with the version that is carried over.
   */
  readonly anchor?: AnchorSpec | null;
  /** Identifier of the adapter version that is carried over. The published `readapt.json` names it as the parent. */
  readonly parent?: string;
  /**
   * Baselines to measure. `all` measures all three. `needed` leaves out those that only a report shows;
   * `measureBaselines` can measure them later. Default `all`.
   */
  readonly baselines?: 'all' | 'needed';
  /**
   * Time at which the job measures the old adapter if the gate does not compare candidates with it. `before` measures
   * it before the first candidate, so that each candidate is compared with it row by row, and published candidates have
   * `negativeFlips`. `after` measures it after a candidate was published, only to know the old adapter's value.
   * Default: never.
   */
  readonly measuresOld?: 'before' | 'after';
}
