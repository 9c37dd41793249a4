import type { TokenizedExample } from '../../core/data/example.ts';

/** What goes over to a side: it makes its own batch of it, and that counts as part of the step. */
export type TokenIds = Pick<TokenizedExample, 'promptIds' | 'completionIds'>;

/** What the engine can be asked to compute the frozen base in; `auto` leaves the choice to it. */
export const READAPT_PRECISIONS = ['auto', 'f32', 'int8'] as const;

export type ReadaptPrecision = (typeof READAPT_PRECISIONS)[number];

export const TORCH_SIDES = ['torch-f32', 'torch-bf16', 'torch-autocast'] as const;

/** The engine or PyTorch, each in one of its precisions. */
export type SideName = `readapt-${ReadaptPrecision}` | (typeof TORCH_SIDES)[number];

export interface Timed {
  /** From token ids to the finished step or losses. */
  readonly seconds: number;
  /** Mean over the completion tokens, in nats; of a step: before its update. */
  readonly loss: number;
  /** Input tokens of the batch that something is predicted from, as the side counts them: no padding. */
  readonly tokens: number;
}

/** Seconds of a profiled step by kind of operator. */
export type OperatorSeconds = Readonly<Record<string, number>>;

/** Methods of a side, one JSON line each way. `python/torch_side.py` has all but `profile`. */
export interface SideMethods {
  load: {
    params: {
      readonly base: string;
      readonly adapter: string;
      readonly threads: number;
      readonly learning_rate: number;
    };
    /** What the frozen base is computed in. */
    result: { readonly precision: string };
  };
  /** One whole training step. */
  step: { params: { readonly examples: readonly TokenIds[] }; result: Timed };
  /** Losses of the completions, without gradients. */
  evaluate: { params: { readonly examples: readonly TokenIds[] }; result: Timed };
  /** Highest resident set so far, in bytes. */
  peak_memory: { params: Record<string, never>; result: number };
  versions: { params: Record<string, never>; result: Readonly<Record<string, string>> };
  profile: { params: { readonly examples: readonly TokenIds[]; readonly steps: number }; result: StepProfile };
}

/** Where a training step's time goes, from ONNX Runtime's profile of it. */
export interface StepProfile {
  /** Seconds of a step in the kernels of each kind of operator. */
  readonly operators: OperatorSeconds;
  /** Of them: matrix products. */
  readonly products: number;
  /** Seconds of a step inside ONNX Runtime. */
  readonly graph: number;
  /** Seconds of the whole step: also batch, copies, clipping, AdamW. */
  readonly step: number;
}
