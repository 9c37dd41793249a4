import type { AdaptOutcome } from '../workers/training/protocol.ts';
import type { CandidateRecord } from '../core/method/ladder/adaptation.ts';
import type { DriftRow } from '../core/method/evolution/drift.ts';
import type { SearchRecord } from '../core/method/search/relative-losses.ts';

/** An adapter (or none) on the task's test rows, which no job has seen. */
export interface TestScore {
  readonly value: number;
  readonly standardError: number;
  /** Row by row: `1` right, `0` wrong; null under the metric `loss`. */
  readonly right: string | null;
}

interface Common {
  /** Says what was measured and with what settings; a record whose key is planned no more is not reported. */
  readonly key: string;
  /** Of the whole item, preparation included. */
  readonly ms: number;
  readonly at: string;
}

/** One start of the harness on this file. */
export interface RunRecord extends Common {
  readonly type: 'run';
  readonly commit: string | null;
  readonly machine: string;
  readonly device: string;
  readonly precision: string;
  readonly threads: number;
  readonly config: unknown;
}

export interface EvolutionRecord extends Common {
  readonly type: 'evolution';
  readonly evolution: string;
  readonly drift: number;
  readonly computeMs: number;
  readonly drifts: readonly DriftRow[];
  /** As the product's `evolve` gives it: drift and captured energy, module by module. */
  readonly summary: Readonly<Record<string, unknown>>;
}

/** What identifies a tenant: its task, how its adapter was made, and the seed. */
export interface TenantName {
  readonly task: string;
  readonly adapter: string;
  readonly seed: number;
}

/** A tenant's adapter, trained on the old base. */
export interface TenantRecord extends Common, TenantName {
  readonly type: 'tenant';
  readonly old: TestScore;
}

/** What a tenant has on the new base before anything is done. */
export interface ReferenceRecord extends Common, TenantName {
  readonly type: 'reference';
  readonly evolution: string;
  readonly none: TestScore;
  readonly copy: TestScore;
}

/** A candidate that the gate judged; `at` is milliseconds from the start of the job. */
export interface JudgedCandidate extends Pick<
  CandidateRecord,
  'id' | 'strategy' | 'alpha' | 'beta' | 'step' | 'passed'
> {
  readonly at: number;
  /** On the gate rows. */
  readonly value: number;
}

/** A point that a search measured; the same point again with more rows is another one. */
export interface SearchPoint extends SearchRecord {
  readonly at: number;
  readonly ms: number;
}

export type CellOutcome = Pick<
  AdaptOutcome,
  'target' | 'baselines' | 'best' | 'ladder' | 'steps' | 'phases' | 'readyMs' | 'tokens' | 'problem'
>;

/** One adaptation job. */
export interface CellRecord extends Common, TenantName, Partial<CellOutcome> {
  readonly type: 'cell';
  readonly evolution: string;
  readonly rows: number;
  readonly strategy: string;
  readonly state: 'ready' | 'not_ready' | 'failed';
  /** Milliseconds of the whole job, baselines and test rows left out: where it is censored if it is not ready. */
  readonly elapsedMs: number;
  /** Loading into memory and compiling what a warm training process has, before the job's clock. */
  readonly warmUpMs: number;
  readonly candidates: readonly JudgedCandidate[];
  readonly search: readonly SearchPoint[];
  /** The version that was published first, and the best at the end of the budget; null where there is none. */
  readonly first: TestScore | null;
  readonly final: TestScore | null;
  /** Why it failed. */
  readonly error?: string;
}

/** Loss on the search rows over a grid of α and β. */
export interface SurfaceRecord extends Common, TenantName {
  readonly type: 'surface';
  readonly evolution: string;
  readonly strategy: string;
  readonly points: readonly { readonly alpha: number; readonly beta: number; readonly loss: number }[];
}

export type ItemRecord = EvolutionRecord | TenantRecord | ReferenceRecord | CellRecord | SurfaceRecord;
export type ResultRecord = RunRecord | ItemRecord;
