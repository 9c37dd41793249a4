import type { JobOutcome } from '../../core/adaptation/job-outcome.ts';
import type { Verdict } from '../../core/method/gate/gate-types.ts';
import type { CandidateRecord } from '../../core/method/ladder/candidate.ts';
import type { ProjectionDrift } from '../../core/method/evolution/drift.ts';
import type { SearchRecord } from '../../core/method/search/observations.ts';

/** Outcomes of rows. */
export interface RowScores {
  /** One character for each row, `1` if it is right and `0` if it is wrong. Null if the metric does not judge rows. */
  readonly right: string | null;
  /** Score of each row, for metrics like ROUGE-L. Test scores of versions before 0.3 have none. */
  readonly scores?: readonly number[];
}

/** Metric of an adapter, or of a base without one, on the test rows, which no job has seen. */
export interface TestScore extends RowScores {
  readonly value: number;
  readonly standardError: number;
}

interface Common {
  /** Key of the item and its settings. The report ignores records whose key is no longer planned. */
  readonly key: string;
  /** Milliseconds of the whole item, preparation included. */
  readonly ms: number;
  /** Time at which the item was finished (RFC 3339, UTC). */
  readonly at: string;
  /** Milliseconds of processor time of this process, all threads together. Older records have none. */
  readonly cpuMs?: number;
  /** One-minute load average of the machine at the end of the item, which shows other load. Older records have none. */
  readonly load?: number;
}

/** Start of the harness with this file of results. */
export interface RunRecord extends Common {
  readonly type: 'run';
  /** Short hash of the checkout's commit, followed by `+` if files were changed. Null outside of a checkout. */
  readonly commit: string | null;
  readonly machine: string;
  readonly device: string;
  readonly precision: string;
  readonly threads: number;
  readonly config: unknown;
  /** Fingerprints of the weights of the base and of each evolution. Older records have none. */
  readonly bases?: readonly BaseFingerprint[];
}

/** Fingerprint of the weights in a model folder. */
export interface BaseFingerprint {
  /** Name of the evolution that led to it, or null for the experiment's base. */
  readonly name: string | null;
  readonly fingerprint: string;
}

/** Start of an attempt at a job. It is written before, since a process that is killed leaves no record. */
export interface BegunRecord extends Common {
  readonly type: 'begun';
  /** Number of starts of the job since its last end, this one included. */
  readonly unended: number;
}

/** Difference of two bases. With a tenant's name it was computed for that tenant alone, otherwise for all of them. */
export interface EvolutionRecord extends Common, Partial<TenantName> {
  readonly type: 'evolution';
  readonly evolution: string;
  /** Name of the previous evolution in a chain, or null for the experiment's base. Older records have none. */
  readonly from?: string | null;
  /** Drift of all adaptable modules together. */
  readonly drift: number;
  /**
   * Milliseconds for comparing two bases and writing the truncated difference, once for all tenants (`evolutionMs`).
   */
  readonly computeMs: number;
  readonly drifts: readonly ProjectionDrift[];
  /** Summary of the product's `evolve`: drift and captured energy of each module. */
  readonly summary: Readonly<Record<string, unknown>>;
  /** In a chain, differences to earlier bases, for tenants without an adapter for the previous evolution. */
  readonly direct?: readonly DirectEvolution[];
}

/** Difference of two bases of a chain with at least one version between them. */
export interface DirectEvolution extends Pick<EvolutionRecord, 'drift' | 'computeMs'> {
  readonly from: string | null;
}

/** Name of a tenant in the records. */
export interface TenantName {
  readonly task: string;
  /** Name of the recipe of its old adapter. */
  readonly adapter: string;
  readonly seed: number;
}

/** Tenant with a trained old adapter. */
export interface TenantRecord extends Common, TenantName {
  readonly type: 'tenant';
  /** Score of the old adapter on the old base. */
  readonly old: TestScore;
}

/** Tenant whose old adapter could not be trained. Its key is that of its `tenant` record. */
export interface FailedTenantRecord extends Common, TenantName {
  readonly type: 'failed_tenant';
  /** Number of the attempt, if it is the second. */
  readonly attempt?: number;
  readonly error: string;
}

/** Scores of a tenant on the new base before any adaptation. */
export interface ReferenceRecord extends Common, TenantName {
  readonly type: 'reference';
  readonly evolution: string;
  /** Score of the new base without an adapter. */
  readonly none: TestScore;
  /** Score of the unchanged old adapter on the new base. */
  readonly copy: TestScore;
}

/** Candidate that the gate has judged. */
export interface JudgedCandidate extends Pick<CandidateRecord, 'id' | 'strategy' | 'alpha' | 'beta' | 'step'> {
  /** Records of versions before 0.3 have none. */
  readonly verdict?: Verdict;
  /** Milliseconds from the start of the job. */
  readonly at: number;
  /** Metric on the measured gate rows, or a bound of it if the look was curtailed. */
  readonly value: number;
  /** Number of gate rows that were measured. Records of looks in parts have none. */
  readonly rows?: number;
  /** Outcomes of the measured gate rows, in the order of the look. Records of versions before 0.4 have none. */
  readonly outcomes?: RowScores;
  /** Number of gate rows that were measured before failure was certain. Only records of looks in parts have it. */
  readonly curtailed?: { readonly measured: number };
}

/** Evaluation of a search. A point that is measured again on more rows has several. */
export interface SearchPoint extends SearchRecord {
  /** Milliseconds from the start of the job. */
  readonly at: number;
  /** Milliseconds of the evaluation. */
  readonly ms: number;
}

type CellOutcome = Pick<
  JobOutcome,
  'target' | 'baselines' | 'best' | 'ladder' | 'steps' | 'phases' | 'readyMs' | 'tokens' | 'problem'
>;

/** Adaptation job. */
export interface CellRecord extends Common, TenantName, Partial<CellOutcome> {
  readonly type: 'cell';
  readonly evolution: string;
  readonly rows: number;
  /** Number of the sample of validation rows, if the experiment has samples. */
  readonly draw?: number;
  readonly strategy: string;
  /**
   * Evolution whose published adapter was carried over. Null for the tenant's own adapter on the experiment's base,
   * because there is no chain or no earlier job was ready. Older records have none.
   */
  readonly carriedFrom?: string | null;
  /** Number of the attempt, if it is the second, after an error. */
  readonly attempt?: number;
  readonly state: 'ready' | 'not_ready' | 'failed';
  /**
   * Milliseconds until the ladder ended or the job failed, at which a job that is not ready is censored. In older
   * records it includes the measurements that the job made afterwards for its report.
   */
  readonly elapsedMs: number;
  /**
   * Milliseconds of the warm-up, which brings the process into the state of a warm one before the job's clock starts.
   */
  readonly warmUpMs: number;
  /** Milliseconds of measuring the old version before the job's clock started, for a job that knows its results. */
  readonly oldMs?: number;
  /** Old version's outcomes on the gate rows, in the order of a look. Records of versions before 0.4 have none. */
  readonly old?: RowScores;
  readonly candidates: readonly JudgedCandidate[];
  readonly search: readonly SearchPoint[];
  /** Score of the version that was published first, or null if none was. */
  readonly first: TestScore | null;
  /** Score of the best candidate at the end of the budget, or null if there is none. */
  readonly final: TestScore | null;
  /** Error of a failed job. */
  readonly error?: string;
}

/** Loss on the search rows over a grid of α and β. */
export interface SurfaceRecord extends Common, TenantName {
  readonly type: 'surface';
  readonly evolution: string;
  readonly strategy: string;
  readonly points: readonly { readonly alpha: number; readonly beta: number; readonly loss: number }[];
}

export type ItemRecord =
  | EvolutionRecord
  | TenantRecord
  | FailedTenantRecord
  | ReferenceRecord
  | CellRecord
  | SurfaceRecord;
export type ResultRecord = RunRecord | BegunRecord | ItemRecord;
/** Record before the run adds its key and times. */
export type Measured<T extends ItemRecord = ItemRecord> = T extends ItemRecord ? Omit<T, keyof Common> : never;
