import * as tf from '@tensorflow/tfjs';
import type { ModelConfig } from '../../../models/config/model-config.ts';
import { attentionScale, type LayerType } from '../../../models/config/rope.ts';
import { attentionMasks } from './attention-mask.ts';
import type { BinIndices } from './bins.ts';
import { cacheMask, type SeenInCache } from './cached.ts';
import { rotaryTables, type RotaryTables } from './rotary.ts';

/** Inputs of one layer's attention, apart from its queries, keys and values. */
export interface LayerAttention {
  /** Rotary tables for queries. If all features of a head are rotated, the tables also scale the queries. */
  readonly query: RotaryTables;
  readonly key: RotaryTables;
  /**
   * Factor that queries are multiplied by in addition to their rotary tables; 1 if the tables already scale the
   * queries.
   */
  readonly queryScale: number;
  /** Tokens that the call's tokens attend to: those of the same call or, with a cache, the cached ones as well. */
  readonly seen: SeenInBins | SeenInCache;
}

/** Masks and indices for attention among tokens of the same call, which are packed into bins. */
export interface SeenInBins {
  /** Attention mask of each query block. */
  readonly masks: readonly tf.Tensor4D[];
  readonly indices: BinIndices;
}

/** Tokens of a call as attention sees them: packed into bins. */
interface BinSource {
  /** [bins, binLength] int32 index of the sequence whose token is at each place of a bin. */
  readonly binSequences: tf.Tensor2D;
  readonly indices: BinIndices;
}

/** Cached keys and values of earlier tokens, for a call that adds the next token of each row (text). */
interface CacheSource {
  /** [slots] int32 position of the token in each slot */
  readonly slots: tf.Tensor1D;
  /** Cached keys and values of a layer, each [rows, keyValueHeads, slots, headDim]. */
  readonly cached: (layer: number) => Pick<SeenInCache, 'keys' | 'values'>;
}

export interface AttentionSource {
  /** Number of query blocks of attention. */
  readonly blocks: number;
  /** [tokens] int32 position of each token in its text. */
  readonly positions: tf.Tensor1D;
  readonly places: BinSource | CacheSource;
  /** Returns the rotary angles of every token for a type of layers, [tokens, pairs] in radians. */
  readonly angles: (layerType: LayerType) => tf.Tensor2D;
}

/**
 * Makes the rotary tables and attention masks of every layer; layers that need the same ones share them. The backward
 * pass uses these tensors after the forward pass, so they must be made outside the differentiated function.
 */
export function attentionTensors(config: ModelConfig, source: AttentionSource): LayerAttention[] {
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
  const seen = 'indices' in source.places ? seenInBins(source, source.places) : seenInCache(source, source.places);
  return Array.from({ length: config.numLayers }, (_, layer): LayerAttention => {
    const window = config.slidingWindows?.[layer] ?? null;
    // Sliding-window layers may have rotary angles of their own.
    const type = window === null ? 'full_attention' : 'sliding_attention';
    return { ...tables(type), seen: seen(window, layer) };
  });
}

type SeenByLayer<S> = (window: number | null, layer: number) => S;

function seenInBins(
  { blocks, positions }: AttentionSource,
  { binSequences, indices }: BinSource,
): SeenByLayer<SeenInBins> {
  const binPositions = tf.gather<tf.Tensor>(positions, indices.binTokens) as tf.Tensor2D;
  const masks = memoized((window: number | null) =>
    attentionMasks({ sequences: binSequences, positions: binPositions }, { window, blocks }),
  );
  return (window) => ({ masks: masks(window), indices });
}

function seenInCache({ positions }: AttentionSource, { slots, cached }: CacheSource): SeenByLayer<SeenInCache> {
  const mask = memoized((window: number | null) => cacheMask(slots, positions, window));
  return (window, layer) => ({ mask: mask(window), ...cached(layer) });
}

function memoized<K, V>(make: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return (key) => {
    const value = known.get(key) ?? make(key);
    known.set(key, value);
    return value;
  };
}
