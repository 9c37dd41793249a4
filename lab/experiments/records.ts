import type { JobOutcome } from '../../core/adaptation/job-outcome.ts';
import type { CurtailedLook, Verdict } from '../../core/method/gate/gate-types.ts';
import type { CandidateRecord } from '../../core/method/ladder/candidate.ts';
import type { DriftRow } from '../../core/method/evolution/drift.ts';
import type { SearchRecord } from '../../core/method/search/observations.ts';

/** The metric of an adapter, or of a base without one, on the task's test rows, which no job has seen. */
export interface TestScore {
  readonly value: number;
  readonly standardError: number;
  /** One character for each row, `1` if it is right and `0` if it is wrong; null for the metric `loss`. */
  readonly right: string | null;
  /** The metric of each row, of metrics that are neither right nor wrong and not a loss. Records of versions before 0.3 have none. */
  readonly scores?: readonly number[];
}

interface Common {
  /** Identifies what was measured and with which settings. The report ignores records whose key is no longer planned. */
  readonly key: string;
  /** Milliseconds that the whole item took, preparation included. */
  readonly ms: number;
  /** When it was finished (RFC 3339, UTC). */
  readonly at: string;
  /** Milliseconds of processor time that this process took for the item, all threads together. Older records have none. */
  readonly cpuMs?: number;
  /** The machine's load average over one minute at the item's end: what else ran shows in it. Older records have none. */
  readonly load?: number;
}

/** One start of the harness with this results file. */
export interface RunRecord extends Common {
  readonly type: 'run';
  /** Short hash of the checkout's commit, followed by `+` if files were changed; null outside of a checkout. */
  readonly commit: string | null;
  readonly machine: string;
  readonly device: string;
  readonly precision: string;
  readonly threads: number;
  readonly config: unknown;
  /** The weights of the base and of each evolution. Older records have none. */
  readonly bases?: readonly BaseFingerprint[];
}

/** Identifies the weights in a model folder, which its path does not. */
export interface BaseFingerprint {
  /** Name of the evolution that led to it; null for the experiment's base. */
  readonly name: string | null;
  readonly fingerprint: string;
}

/** Written before an attempt at a job, since a process that is killed leaves no record of its own. */
export interface BegunRecord extends Common {
  readonly type: 'begun';
  /** How often the job has begun since its last end, this time included. */
  readonly unended: number;
}

/** The difference of two bases: with a tenant's name, it was computed for this tenant alone, and without one for all of them. */
export interface EvolutionRecord extends Common, Partial<TenantName> {
  readonly type: 'evolution';
  readonly evolution: string;
  /** In a chain, the name of the evolution before it; null where it starts from the experiment's base. Older records have none. */
  readonly from?: string | null;
  /** Drift of the adaptable modules together. */
  readonly drift: number;
  /** Milliseconds for comparing the two bases and writing the truncated difference, once for all its tenants (see `evolutionMs`). */
  readonly computeMs: number;
  readonly drifts: readonly DriftRow[];
  /** The summary of the product's `evolve`: drift and captured energy, module by module. */
  readonly summary: Readonly<Record<string, unknown>>;
  /** In a chain, the same base seen from those further back, for tenants who have no adapter for the one before. */
  readonly direct?: readonly DirectEvolution[];
}

/** The difference to a base of a chain that skips at least one version of it. */
export interface DirectEvolution extends Pick<EvolutionRecord, 'drift' | 'computeMs'> {
  readonly from: string | null;
}

/** What identifies a tenant in the records. */
export interface TenantName {
  readonly task: string;
  /** Name of the recipe by which its old adapter was trained. */
  readonly adapter: string;
  readonly seed: number;
}

/** A tenant whose old adapter has been trained. */
export interface TenantRecord extends Common, TenantName {
  readonly type: 'tenant';
  /** The old adapter on the old base. */
  readonly old: TestScore;
}

/** A tenant whose old adapter could not be trained. It has the key that its `tenant` record would have. */
export interface FailedTenantRecord extends Common, TenantName {
  readonly type: 'failed_tenant';
  /** 2 if it was tried again. */
  readonly attempt?: number;
  readonly error: string;
}

/** What a tenant has on the new base before any adaptation. */
export interface ReferenceRecord extends Common, TenantName {
  readonly type: 'reference';
  readonly evolution: string;
  /** The new base without an adapter. */
  readonly none: TestScore;
  /** The old adapter, unchanged, on the new base. */
  readonly copy: TestScore;
}

/** A candidate that the gate has judged. */
export interface JudgedCandidate extends Pick<CandidateRecord, 'id' | 'strategy' | 'alpha' | 'beta' | 'step'> {
  /** Records of versions before 0.3 have none. */
  readonly verdict?: Verdict;
  /** Milliseconds from the start of the job. */
  readonly at: number;
  /** The metric on the gate rows; a bound of it where the look was curtailed. */
  readonly value: number;
  readonly curtailed?: CurtailedLook;
}

/** One evaluation of a search. A point that is measured again with more rows gives another one. */
export interface SearchPoint extends SearchRecord {
  /** Milliseconds from the start of the job. */
  readonly at: number;
  /** Milliseconds that the evaluation took. */
  readonly ms: number;
}

type CellOutcome = Pick<
  JobOutcome,
  'target' | 'baselines' | 'best' | 'ladder' | 'steps' | 'phases' | 'readyMs' | 'tokens' | 'problem'
>;

/** One adaptation job. */
export interface CellRecord extends Common, TenantName, Partial<CellOutcome> {
  readonly type: 'cell';
  readonly evolution: string;
  readonly rows: number;
  /** Number of the sample of validation rows, where the experiment has several. */
  readonly draw?: number;
  readonly strategy: string;
  /**
   * The evolution of a chain whose published adapter was carried over; null where it was the tenant's own adapter for the
   * experiment's base, because there is no chain or no job before this one was ready. Older records have none.
   */
  readonly carriedFrom?: string | null;
  /** 2 if the job was run again because it had failed by an error. */
  readonly attempt?: number;
  readonly state: 'ready' | 'not_ready' | 'failed';
  /**
   * Milliseconds until the ladder ended, or the job failed: the time at which a job that is not ready is censored. In older records it has
   * what the job measured afterwards for its report, too.
   */
  readonly elapsedMs: number;
  /** Milliseconds for loading and compiling what a warm training process has, spent before the job's clock starts. */
  readonly warmUpMs: number;
  /** Milliseconds in which the old version was measured before the job's clock started, where its results are known to the job. */
  readonly oldMs?: number;
  readonly candidates: readonly JudgedCandidate[];
  readonly search: readonly SearchPoint[];
  /** Score of the version that was published first; null if none was. */
  readonly first: TestScore | null;
  /** Score of the best candidate at the end of the budget; null if there is none. */
  readonly final: TestScore | null;
  /** Why the job failed. */
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
  EvolutionRecord | TenantRecord | FailedTenantRecord | ReferenceRecord | CellRecord | SurfaceRecord;
export type ResultRecord = RunRecord | BegunRecord | ItemRecord;
/** A record as it is measured, before the run adds its key and times. */
export type Measured<T extends ItemRecord = ItemRecord> = T extends ItemRecord ? Omit<T, keyof Common> : never;
