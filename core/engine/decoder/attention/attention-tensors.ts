import * as tf from '@tensorflow/tfjs';
import type { ModelConfig } from '../../../models/config/model-config.ts';
import { attentionScale, type LayerType } from '../../../models/config/rope.ts';
import { attentionMasks } from './attention-mask.ts';
import type { BinIndices } from './bins.ts';
import { rotaryTables, type RotaryTables } from './rotary.ts';

/** What the attention of one layer needs beside queries, keys and values. */
export interface LayerAttention {
  /** Tables for queries. Where all features of a head rotate, they also scale the queries. */
  readonly query: RotaryTables;
  readonly key: RotaryTables;
  /** Factor on the queries beside the tables. */
  readonly queryScale: number;
  /** The mask of each block of queries. */
  readonly masks: readonly tf.Tensor4D[];
  readonly indices: BinIndices;
}

export interface AttentionSource {
  /** Number of blocks of queries. */
  readonly blocks: number;
  /** [tokens] int32 */
  readonly positions: tf.Tensor1D;
  /** [bins, binLength] int32 */
  readonly binSequences: tf.Tensor2D;
  readonly indices: BinIndices;
  /** [tokens, pairs] */
  readonly angles: (layerType: LayerType) => tf.Tensor2D;
}

/**
 * Makes the tables and masks of every layer, each once for all layers that share it. Gradients use them after the forward
 * pass, so they have to be made outside of what is differentiated.
 */
export function attentionTensors(config: ModelConfig, source: AttentionSource): LayerAttention[] {
  const { blocks, positions, binSequences, indices } = source;
  const binPositions = tf.gather<tf.Tensor>(positions, indices.binTokens) as tf.Tensor2D;
  const queryScale = 1 / Math.sqrt(config.queryPreAttnScalar ?? config.headDim);
  const tables = memoized((type: LayerType) => {
    const angles = source.angles(type);
    const scale = attentionScale(config, type);
    const partial = 2 * angles.shape[1] < config.headDim;
    return {
      query: rotaryTables(angles, partial ? scale : scale * queryScale),
      key: rotaryTables(angles, scale),
      queryScale: partial ? queryScale : 1,
    };
  });
  const masks = memoized((window: number | null) =>
    attentionMasks({ sequences: binSequences, positions: binPositions }, { window, blocks }),
  );
  return Array.from({ length: config.numLayers }, (_, layer): LayerAttention => {
    const window = config.slidingWindows?.[layer] ?? null;
    // Layers with a window may have rotary angles of their own.
    const type = window === null ? 'full_attention' : 'sliding_attention';
    return { ...tables(type), masks: masks(window), indices };
  });
}

function memoized<K, V>(make: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return (key) => {
    const value = known.get(key) ?? make(key);
    known.set(key, value);
    return value;
  };
}
