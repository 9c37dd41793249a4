import * as tf from '@tensorflow/tfjs';
import type { ModelConfig } from '../../../models/config/model-config.ts';
import { attentionScale, type LayerType } from '../../../models/config/rope.ts';
import { attentionMask } from './attention.ts';
import { rotaryTables, type RotaryTables } from './rotary.ts';
import type { BinIndices } from './bins.ts';

/** What every layer's attention shares, from the batch alone. */
export interface AttentionTensors {
  readonly layer: (layer: number) => LayerAttention;
}

export interface LayerAttention {
  /** Of queries; scaled where all features turn. */
  readonly query: RotaryTables;
  readonly key: RotaryTables;
  /** What queries are scaled by beside. */
  readonly queryScale: number;
  readonly mask: tf.Tensor4D;
  readonly indices: BinIndices;
}

export interface AttentionSource {
  /** [tokens] int32 */
  readonly positions: tf.Tensor1D;
  /** [bins, binLength] int32 */
  readonly binSequences: tf.Tensor2D;
  readonly indices: BinIndices;
  /** [tokens, pairs] */
  readonly angles: (layerType: LayerType) => tf.Tensor2D;
}

/** Layers with a window may turn at speeds of their own. */
export function layerType(config: ModelConfig, layer: number): LayerType {
  return (config.slidingWindows?.[layer] ?? null) === null ? 'full_attention' : 'sliding_attention';
}

/**
 * Tables and masks, each made once for all layers that share it. Gradients use them after the forward pass, so they are
 * made outside of what is differentiated.
 */
export function attentionTensors(config: ModelConfig, source: AttentionSource): AttentionTensors {
  const { positions, binSequences, indices } = source;
  const binPositions = tf.gather(positions, indices.binTokens) as tf.Tensor as tf.Tensor2D;
  const queryScale = 1 / Math.sqrt(config.queryPreAttnScalar ?? config.headDim);
  const tables = memoised((type: LayerType) => {
    const angles = source.angles(type);
    const scale = attentionScale(config, type);
    const partial = 2 * angles.shape[1] < config.headDim;
    return {
      query: rotaryTables(angles, partial ? scale : scale * queryScale),
      key: rotaryTables(angles, scale),
      queryScale: partial ? queryScale : 1,
    };
  });
  const mask = memoised((window: number | null) =>
    attentionMask({ sequences: binSequences, positions: binPositions }, window),
  );
  const layers = Array.from({ length: config.numLayers }, (_, layer): LayerAttention => {
    return { ...tables(layerType(config, layer)), mask: mask(config.slidingWindows?.[layer] ?? null), indices };
  });
  return { layer: (index) => layers[index]! };
}

function memoised<K, V>(make: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return (key) => {
    const value = known.get(key) ?? make(key);
    known.set(key, value);
    return value;
  };
}
