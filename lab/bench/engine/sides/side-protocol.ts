import type { TokenizedExample } from '../../../../core/data/example.ts';

/** Example as it is sent to a side. The side makes the batch itself, and its time is part of the step. */
export type TokenIds = Pick<TokenizedExample, 'tokenIds' | 'labelSpans'>;

/** Precisions of the frozen base; `auto` leaves the choice to the engine. */
export const READAPT_PRECISIONS = ['auto', 'f32', 'int8'] as const;

export type ReadaptPrecision = (typeof READAPT_PRECISIONS)[number];

export const TORCH_SIDES = ['torch-f32', 'torch-bf16', 'torch-autocast'] as const;

/** Name of a side: Readapt or PyTorch, in one of its precisions. */
export type SideName = `readapt-${ReadaptPrecision}` | (typeof TORCH_SIDES)[number];

/** Whether this side is Readapt rather than PyTorch. */
export function isReadapt(name: SideName): boolean {
  return name.startsWith('readapt');
}

export interface Timed {
  /** Seconds from the token ids to the finished step or losses. */
  readonly seconds: number;
  /** Mean loss over the completion tokens, in nats; for a step, the loss before its update. */
  readonly loss: number;
  /** Number of input tokens with a next token, as the side counts them, without padding. */
  readonly tokens: number;
}

export interface Generated {
  /** Seconds from the token ids of the prompts to the last new token. */
  readonly seconds: number;
  /** Number of new tokens, as the side counts them. */
  readonly tokens: number;
  /** Ids of the new tokens of each prompt. */
  readonly tokenIds: readonly (readonly number[])[];
}

/** Seconds of a profiled step by type of operator. */
export type OperatorSeconds = Readonly<Record<string, number>>;

/** Methods of a side. Request and answer are one line of JSON each. `torch_side.py` has all of them but `profile`. */
export interface SideMethods {
  load: {
    params: {
      readonly base: string;
      readonly adapter: string;
      /** Folder of the adapter to generate with. It is read when it is first needed. */
      readonly generation_adapter: string;
      readonly threads: number;
      readonly learning_rate: number;
    };
    /** Precision of the frozen base. */
    result: { readonly precision: string };
  };
  /** Takes one whole training step. */
  step: { params: { readonly examples: readonly TokenIds[] }; result: Timed };
  /** Computes the mean loss of the completions without gradients. */
  evaluate: { params: { readonly examples: readonly TokenIds[] }; result: Timed };
  /** Continues prompts greedily by a fixed number of tokens. No token ends a text. */
  generate: {
    params: { readonly prompts: readonly (readonly number[])[]; readonly new_tokens: number };
    result: Generated;
  };
  /** Returns the highest resident set so far, in bytes. */
  peak_memory: { params: Record<string, never>; result: number };
  versions: { params: Record<string, never>; result: Readonly<Record<string, string>> };
  profile: { params: { readonly examples: readonly TokenIds[]; readonly steps: number }; result: StepProfile };
}

/** Times of a training step, from ONNX Runtime's profile. */
export interface StepProfile {
  /** Seconds of a step in the kernels of each type of operator. */
  readonly operators: OperatorSeconds;
  /** Seconds of a step in the kernels of matrix products. */
  readonly products: number;
  /** Seconds of a step inside ONNX Runtime. */
  readonly graph: number;
  /** Seconds of the whole step, including making the batch, copies, clipping and AdamW. */
  readonly step: number;
}
