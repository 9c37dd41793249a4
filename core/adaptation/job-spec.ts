import type { DataSpec } from '../data/task-data.ts';
import type { GivenAdapterOptions } from '../options/adapter-options.ts';
import type { GateRule } from '../options/gates.ts';
import type { GivenJobOptions } from '../options/job-options.ts';
import type { MetricName } from '../options/metrics.ts';
import type { GateOutcomes } from './measurements/gate-outcomes.ts';

/** The version that margins count from, where it is not the one that is carried over. Plain JSON. */
export interface AnchorSpec {
  /** Number of the version, for messages; null if nothing is left of it. */
  readonly number: number | null;
  /** Number of the version that is carried over. */
  readonly oldNumber: number;
  /** Its stored outcomes on its own base; null if there are none. */
  readonly outcomes: GateOutcomes | null;
  /** Its PEFT folder and its base, to measure it where its outcomes are of other rows; null if one of them is gone. */
  readonly source: { readonly adapter: string; readonly base: string } | null;
}

/** Everything that one adaptation job or control needs. All paths are absolute; what they name is only read. Plain JSON. */
export interface JobSpec {
  readonly jobId: string;
  /** A `control` trains from scratch, publishes nothing, and ends at the first pass of the gate. */
  readonly kind: 'adaptation' | 'control';
  readonly oldBase: string;
  readonly newBase: string;
  /**
   * What serving engines call the new base: published adapters have it as `base_model_name_or_path`. Default: `newBase`,
   * as it is given.
   */
  readonly newBaseName?: string;
  /** PEFT folder of the adapter version for the old base. */
  readonly adapter: string;
  readonly data: DataSpec;
  readonly metric: MetricName;
  readonly gate: GateRule;
  /** Most tokens that measuring an adapter once on gate rows or search rows may take. Default: any number. */
  readonly measuredTokens?: number;
  /** How the adapter's rows are made into tokens, as far as somebody has said. Default: as the adapter says or shows. */
  readonly adapterOptions?: GivenAdapterOptions;
  /** Folder with the evolution between the two bases; null computes it within the job. */
  readonly evolution: string | null;
  /** Options that differ from their defaults. */
  readonly options: GivenJobOptions;
  /**
   * Folder of this job alone, on durable storage. Checkpoints are kept there, and a job that starts again resumes from
   * them. The caller removes it when the job has ended for good.
   */
  readonly workDir: string;
  /** Stored outcomes of the old adapter on the old base. It is measured if they are missing or describe something else. */
  readonly oldOutcomes?: GateOutcomes | null;
  /**
   * Whether the outcomes that lie beside the adapter (`readapt-outcomes.json`) are believed where none are stored. A service
   * does not believe them: whoever writes down a poor old version has a gate that everything passes. Default false.
   */
  readonly trustsOutcomes?: boolean;
  /**
   * What the margin of a relative gate and of one of non-inferiority counts from, so that losses do not add up over versions.
   * Default: the version that is carried over.
   */
  readonly anchor?: AnchorSpec | null;
  /** Identifier of the adapter version that is carried over, for the published `readapt.json`. */
  readonly parent?: string;
  /**
   * `needed` leaves out what neither the target nor the ladder measures and only a report shows; `measureBaselines` makes up
   * for it. Default `all`.
   */
  readonly baselines?: 'all' | 'needed';
  /**
   * When the old adapter is measured although the gate does not compare with it: `before` candidates, which are then compared with it
   * row by row, so that published ones have `negativeFlips`, or `after` a candidate is published, for its value alone. Default: never.
   */
  readonly measuresOld?: 'before' | 'after';
}
