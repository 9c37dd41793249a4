import type { TokenizedExample } from '../../workers/training/example.ts';

/** What goes over to a side: it makes its own batch of it, and that counts as part of the step. */
export type TokenIds = Pick<TokenizedExample, 'promptIds' | 'completionIds'>;

/** The engine, or PyTorch in one of its precisions. */
export type SideName = 'readapt' | 'f32' | 'bf16' | 'autocast';

export interface Timed {
  /** From token ids to the finished step or losses. */
  readonly seconds: number;
  /** Mean over the completion tokens, in nats; of a step: before its update. */
  readonly loss: number;
}

/** Seconds of a profiled step by kind of operator. */
export type OperatorSeconds = Readonly<Record<string, number>>;

/** Methods of a side, one JSON line each way. `python/torch_side.py` has all but `profile`. */
export interface SideMethods {
  load: {
    params: { readonly base: string; readonly adapter: string; readonly threads: number; readonly learning_rate: number };
    result: null;
  };
  /** One whole training step. */
  step: { params: { readonly examples: readonly TokenIds[] }; result: Timed };
  /** Losses of the completions, without gradients. */
  evaluate: { params: { readonly examples: readonly TokenIds[] }; result: Timed };
  /** Highest resident set so far, in bytes. */
  peak_memory: { params: Record<string, never>; result: number };
  /** Input tokens that are real and (position, target) pairs of a batch, row by row. */
  rows: { params: { readonly examples: readonly TokenIds[] }; result: readonly SideRow[] };
  versions: { params: Record<string, never>; result: Readonly<Record<string, string>> };
  profile: { params: { readonly examples: readonly TokenIds[]; readonly steps: number }; result: StepProfile };
}

/** A row as a side feeds it to the model, padding taken off. */
export interface SideRow {
  /** Tokens that something is predicted from. */
  readonly tokens: readonly number[];
  /** [position, token predicted there]. */
  readonly labels: readonly (readonly [number, number])[];
}

export interface StepProfile {
  /** Of the graph alone, by operator, a step. */
  readonly operators: OperatorSeconds;
  /** The whole step and its part outside the graph (batch, copies, clipping, AdamW), in seconds. */
  readonly step: number;
  readonly outsideGraph: number;
}
