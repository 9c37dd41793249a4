import type { Architecture } from '../architecture/architecture-declaration.ts';
import type { Projection } from '../lora/projections.ts';

/** How rotary angles are scaled for texts beyond the trained length, in the terms of transformers' `rope_parameters`. */
export type RotaryScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositionEmbeddings: number;
    }
  /** NTK scaling by the length of the text, from `max_position_embeddings` on. */
  | { readonly type: 'dynamic'; readonly factor: number }
  | {
      readonly type: 'yarn';
      readonly factor: number;
      readonly originalMaxPositionEmbeddings: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** Whether the blended range of frequencies is widened to whole pairs. */
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
      /** The same for longer texts. */
      readonly longFactor: readonly number[];
      readonly attentionFactor: number | null;
    };

/** Base and scaling of rotary angles. */
export interface RopeSettings {
  readonly ropeTheta: number;
  readonly ropeScaling: RotaryScaling | null;
}

/** The contents of a decoder's `config.json` as the engine needs them, in one shape for every supported architecture. */
export interface ModelConfig {
  /** `model_type` of config.json. */
  readonly modelType: string;
  /** The declaration of an architecture that Readapt does not ship; absent where `modelType` names one that it ships. */
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
  /** null where there is no scaling. */
  readonly ropeScaling: RotaryScaling | null;
  /** Settings of the layers with a window, if they differ from those of the other layers; else null or absent. */
  readonly slidingRope?: RopeSettings | null;
  /** Share of each head's features, from the first on, that are rotated; all where it is null or absent. */
  readonly partialRotaryFactor?: number | null;
  /** The number n where scores are scaled by 1/√n; headDim where it is null or absent. */
  readonly queryPreAttnScalar?: number | null;
  /** The number c where attention scores x become c · tanh(x / c); they stay as they are where it is null or absent. */
  readonly attentionSoftcap?: number | null;
  /** The same for the final logits. */
  readonly logitSoftcap?: number | null;
  /** The projections that have a bias, in the architecture's order; null where none has. */
  readonly biases: readonly Projection[] | null;
  /** For each layer, the number of keys that a query sees, itself included, or null for all; null where every layer sees all. */
  readonly slidingWindows: readonly (number | null)[] | null;
  readonly tieWordEmbeddings: boolean;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
}
