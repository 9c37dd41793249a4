import type { Projection } from './projections.ts';

/** The `model_type` values that can be loaded. */
export const SUPPORTED_MODEL_TYPES = ['llama', 'mistral', 'qwen2', 'qwen3'] as const;

export type SupportedModelType = (typeof SUPPORTED_MODEL_TYPES)[number];

/** How rotary angles are stretched beyond the trained length; `null` in {@link ModelConfig.ropeScaling} is none. */
export type RopeScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositionEmbeddings: number;
    };

/** What a decoder's `config.json` says, in the units of the engine. One shape for every supported architecture. */
export interface ModelConfig {
  /** `model_type` of config.json. */
  readonly modelType: SupportedModelType;
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
  readonly ropeScaling: RopeScaling | null;
  /** Projections that have a bias, in their order; null is none. */
  readonly biases: readonly Projection[] | null;
  /** How many keys a query of each layer sees, itself included (null: all); null is all in every layer. */
  readonly slidingWindows: readonly (number | null)[] | null;
  readonly tieWordEmbeddings: boolean;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
}
