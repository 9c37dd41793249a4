import type { Architecture } from '../architecture/architecture-declaration.ts';
import type { Projection } from '../lora/projections.ts';

/** Scaling of rotary angles for texts beyond the trained length, in the terms of transformers' `rope_parameters`. */
export type RotaryScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositionEmbeddings: number;
    }
  /** NTK scaling. It begins when a text is longer than `max_position_embeddings`, and grows with the text's length. */
  | { readonly type: 'dynamic'; readonly factor: number }
  | {
      readonly type: 'yarn';
      readonly factor: number;
      readonly originalMaxPositionEmbeddings: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** Whether the range of blended frequencies is rounded outwards to whole pairs of features. */
      readonly truncate: boolean;
      readonly attentionFactor: number | null;
      readonly mscale: number | null;
      readonly mscaleAllDim: number | null;
    }
  | {
      readonly type: 'longrope';
      readonly factor: number;
      readonly originalMaxPositionEmbeddings: number;
      /** Divisors of the frequencies, one for each pair, for texts up to the original length. */
      readonly shortFactor: readonly number[];
      /** Divisors of the frequencies, one for each pair, for texts beyond the original length. */
      readonly longFactor: readonly number[];
      readonly attentionFactor: number | null;
    };

/** Base θ and scaling of the rotary angles. */
export interface RopeSettings {
  readonly ropeTheta: number;
  readonly ropeScaling: RotaryScaling | null;
}

/** Contents of a decoder's `config.json` that the engine uses, in one form for every supported architecture. */
export interface ModelConfig {
  /** `model_type` of config.json. */
  readonly modelType: string;
  /** Declaration of the model's architecture if Readapt does not ship one for `modelType`; otherwise absent. */
  readonly architecture?: Architecture;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly maxPositionEmbeddings: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  /** Scaling of the rotary angles for texts beyond the trained length; null means no scaling. */
  readonly ropeScaling: RotaryScaling | null;
  /** Rotary settings of sliding-window layers, if they differ from those of the other layers; else null or absent. */
  readonly slidingRope?: RopeSettings | null;
  /** Share of each head's features that are rotated, from the first on. All of them if null or absent. */
  readonly partialRotaryFactor?: number | null;
  /** Number n in the scale 1/√n of attention scores. It is headDim if null or absent. */
  readonly queryPreAttnScalar?: number | null;
  /** Cap c of attention scores: each score x becomes c · tanh(x / c). No cap if null or absent. */
  readonly attentionSoftcap?: number | null;
  /** Cap c of the final logits: each logit x becomes c · tanh(x / c). No cap if null or absent. */
  readonly logitSoftcap?: number | null;
  /** Projections with a bias, in the architecture's order; null if none has one. */
  readonly biases: readonly Projection[] | null;
  /**
   * For each layer, the number of keys that a query attends to, itself included, or null for all. Null if all layers
   * attend to all keys.
   */
  readonly slidingWindows: readonly (number | null)[] | null;
  readonly tieWordEmbeddings: boolean;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
}
