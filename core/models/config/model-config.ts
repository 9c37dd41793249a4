import type { Architecture } from '../architecture/architecture-declaration.ts';
import type { Projection } from '../lora/projections.ts';

/** How rotary angles are stretched beyond the trained length, in the terms of transformers' `rope_parameters`. */
export type RotaryScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositionEmbeddings: number;
    }
  /** NTK scaling by the length at hand: none up to `max_position_embeddings`. */
  | { readonly type: 'dynamic'; readonly factor: number }
  | {
      readonly type: 'yarn';
      readonly factor: number;
      readonly originalMaxPositionEmbeddings: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** The blended range ends at whole pairs. */
      readonly truncate: boolean;
      readonly attentionFactor: number | null;
      readonly mscale: number | null;
      readonly mscaleAllDim: number | null;
    }
  | {
      readonly type: 'longrope';
      readonly factor: number;
      readonly originalMaxPositionEmbeddings: number;
      /** Divisors of the frequencies, one a pair, up to the original length and beyond it. */
      readonly shortFactor: readonly number[];
      readonly longFactor: readonly number[];
      readonly attentionFactor: number | null;
    };

/** Base and scaling of rotary angles. */
export interface RopeSettings {
  readonly ropeTheta: number;
  readonly ropeScaling: RotaryScaling | null;
}

/** What a decoder's `config.json` says, in the units of the engine. One shape for every supported architecture. */
export interface ModelConfig {
  /** `model_type` of config.json. */
  readonly modelType: string;
  /** The declaration of an architecture that Readapt does not ship; absent where `modelType` names one that it does. */
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
  /** null is none. */
  readonly ropeScaling: RotaryScaling | null;
  /** Of the layers with a window, where they have their own; null or absent: as all layers. */
  readonly slidingRope?: RopeSettings | null;
  /** Share of each head's features that turn, the first ones; null or absent: all. */
  readonly partialRotaryFactor?: number | null;
  /** Scores are scaled by 1/√ of it; null or absent: headDim. */
  readonly queryPreAttnScalar?: number | null;
  /** Attention scores x become c · tanh(x / c); null or absent: as they are. */
  readonly attentionSoftcap?: number | null;
  /** The same for the final logits. */
  readonly logitSoftcap?: number | null;
  /** Projections that have a bias, in their order; null is none. */
  readonly biases: readonly Projection[] | null;
  /** How many keys a query of each layer sees, itself included (null: all); null is all in every layer. */
  readonly slidingWindows: readonly (number | null)[] | null;
  readonly tieWordEmbeddings: boolean;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
}
