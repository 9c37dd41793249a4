import * as tf from '@tensorflow/tfjs';
import type { Architecture, BlockNorms } from '../../models/architecture/architecture-declaration.ts';
import { architectureOf } from '../../models/architecture/architecture.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { Projection } from '../../models/lora/projections.ts';
import { attend } from './attention/attention.ts';
import type { LayerAttention, SeenInBins } from './attention/attention-tensors.ts';
import { attendToCache } from './attention/cached.ts';
import { fromBins, toBins } from './attention/bins.ts';
import { rotate, type RotaryTables } from './attention/rotary.ts';
import { gated } from './gated.ts';
import { linear, type LoraTensors } from './linear.ts';
import { pickRows } from './losses.ts';
import { rmsNorm } from './rms-norm.ts';

/** Rows that a linear layer computes: all tokens or, in the last layer after attention, only the label positions. */
export type RowsOf = 'tokens' | 'labels';

/** Inputs of the decoder: tensors by Hugging Face name, and the factors of adapted modules. */
interface DecoderTensors {
  readonly weight: (name: string) => tf.Tensor;
  readonly lora: (module: string, rows: RowsOf) => LoraTensors | undefined;
  /** [tokens] int32 token ids */
  readonly inputIds: tf.Tensor1D;
  /**
   * Indices in `inputIds` of the tokens whose next token is predicted, [labels] int32; null if it is predicted for all
   * tokens.
   */
  readonly labelPositions: tf.Tensor1D | null;
  /** Rotary tables, masks and further inputs of attention, for each layer. */
  readonly attention: readonly LayerAttention[];
  /** Function that receives the keys and values of the call's tokens in each layer. */
  readonly keep?: (layer: number, states: KeysAndValues) => void;
}

/** Keys after rotation, and values, of a call's tokens, each [tokens, keyValueHeads · headDim]. */
export type KeysAndValues = Readonly<Record<'k' | 'v', tf.Tensor2D>>;

/** Number of a decoder layer, and the run of the decoder that it belongs to. */
interface Layer {
  readonly index: number;
  readonly run: DecoderRun;
  readonly attention: LayerAttention;
  readonly isLast: boolean;
}

interface DecoderRun extends DecoderTensors {
  readonly config: ModelConfig;
  readonly architecture: Architecture;
}

/**
 * Computes the final hidden states of a decoder at the label positions: [labels, hidden], after the last norm. In the
 * last layer, everything after attention is computed only at those positions.
 */
export function labelHiddenStates(config: ModelConfig, tensors: DecoderTensors): tf.Tensor2D {
  const run: DecoderRun = { ...tensors, config, architecture: architectureOf(config) };
  let hidden = embed(run);
  for (const [index, attention] of run.attention.entries()) {
    hidden = decoderLayer({ index, run, attention, isLast: index === config.numLayers - 1 }, hidden);
  }
  return norm(run, 'model.norm', hidden);
}

function embed({ config, architecture, weight, inputIds }: DecoderRun): tf.Tensor2D {
  const embeddings = tf.gather(weight('model.embed_tokens.weight') as tf.Tensor2D, inputIds);
  return architecture.scaledEmbeddings ? embeddings.mul(Math.sqrt(config.hiddenSize)) : embeddings;
}

/** @param hidden [tokens, hidden] states before the layer; the result of the last layer is [labels, hidden] */
function decoderLayer(layer: Layer, hidden: tf.Tensor2D): tf.Tensor2D {
  const { run, isLast } = layer;
  const { norms } = run.architecture;
  const atLabels = (x: tf.Tensor2D) => (isLast && run.labelPositions ? pickRows(x, run.labelPositions) : x);
  const attended = residual(layer, norms.attention, {
    hidden,
    block: (x) => project(layer, 'self_attn.o_proj', atLabels(attention(layer, x))),
    skip: atLabels,
  });
  return residual(layer, norms.mlp, { hidden: attended, block: (x) => mlp(layer, x) });
}

interface Block {
  readonly hidden: tf.Tensor2D;
  readonly block: (x: tf.Tensor2D) => tf.Tensor2D;
  /**
   * Selects the rows of the hidden states that the residual connection adds, so that they match the block's output.
   * Default: all rows.
   */
  readonly skip?: (hidden: tf.Tensor2D) => tf.Tensor2D;
}

/** Runs a block of a layer with its norms and residual connection: x + output(block(input(x))). */
function residual(layer: Layer, { input, output }: BlockNorms, { hidden, block, skip }: Block): tf.Tensor2D {
  const normed = (name: string | null, x: tf.Tensor2D) => (name === null ? x : layerNorm(layer, name, x));
  return (skip?.(hidden) ?? hidden).add(normed(output, block(normed(input, hidden))));
}

function attention(layer: Layer, x: tf.Tensor2D): tf.Tensor2D {
  const { headDim } = layer.run.config;
  const { query, key, queryScale, seen } = layer.attention;
  const projected = queriesKeysValues(layer, x);
  const rotated = (name: 'q_norm' | 'k_norm', part: tf.Tensor2D, tables: RotaryTables) =>
    rotate(headNorm(layer, name, part), headDim, tables);
  const q = rotated('q_norm', projected.q, query);
  const tokens = {
    q: queryScale === 1 ? q : q.mul<tf.Tensor2D>(queryScale),
    k: rotated('k_norm', projected.k, key),
    v: projected.v,
  };
  layer.run.keep?.(layer.index, tokens);
  return 'indices' in seen
    ? attendInBins(layer.run.config, tokens, seen)
    : attendToCache(layer.run.config, tokens, seen);
}

function attendInBins(
  { numHeads, numKeyValueHeads: keyHeads, headDim, attentionSoftcap }: ModelConfig,
  { q, k, v }: Record<'q' | 'k' | 'v', tf.Tensor2D>,
  { masks, indices }: SeenInBins,
): tf.Tensor2D {
  const heads = (part: tf.Tensor2D, count: number) => headsFirst(toBins(part, indices), count, headDim);
  const queries = heads(q, numHeads);
  const [bins, , length] = queries.shape;
  const output = attend({ q: queries, k: heads(k, keyHeads), v: heads(v, keyHeads) }, masks, attentionSoftcap ?? null);
  const byHead = tf.transpose(output, [0, 2, 1, 3]);
  return fromBins(byHead.reshape([bins, length, numHeads * headDim]), indices);
}

/** Transposes [bins, length, heads · dim] to [bins, heads, length, dim]. */
function headsFirst(x: tf.Tensor3D, heads: number, headDim: number): tf.Tensor4D {
  const [bins, length] = x.shape;
  return tf.transpose(x.reshape([bins, length, heads, headDim]), [0, 2, 1, 3]);
}

function queriesKeysValues(layer: Layer, x: tf.Tensor2D): Record<'q' | 'k' | 'v', tf.Tensor2D> {
  const { config, architecture } = layer.run;
  if (architecture.projections.includes('self_attn.qkv_proj')) {
    const keyValue = config.numKeyValueHeads * config.headDim;
    const widths = [config.numHeads * config.headDim, keyValue, keyValue];
    const parts = tf.split(project(layer, 'self_attn.qkv_proj', x), widths, 1);
    const [q, k, v] = parts as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
    return { q, k, v };
  }
  return {
    q: project(layer, 'self_attn.q_proj', x),
    k: project(layer, 'self_attn.k_proj', x),
    v: project(layer, 'self_attn.v_proj', x),
  };
}

/**
 * Applies the RMSNorm of queries or keys, if the architecture has one: over each head's features, or over the whole
 * projection.
 */
function headNorm(layer: Layer, name: 'q_norm' | 'k_norm', x: tf.Tensor2D): tf.Tensor2D {
  const { architecture, config } = layer.run;
  if (architecture.queryKeyNorm === null) return x;
  if (architecture.queryKeyNorm === 'projection') return layerNorm(layer, `self_attn.${name}`, x);
  return layerNorm(layer, `self_attn.${name}`, x.reshape([-1, config.headDim])).reshape(x.shape);
}

function mlp(layer: Layer, x: tf.Tensor2D): tf.Tensor2D {
  const [gate, up] = gateAndUp(layer, x);
  return project(layer, 'mlp.down_proj', gated(gate, up, layer.run.architecture.activation));
}

function gateAndUp(layer: Layer, x: tf.Tensor2D): [tf.Tensor2D, tf.Tensor2D] {
  if (layer.run.architecture.projections.includes('mlp.gate_up_proj')) {
    return tf.split(project(layer, 'mlp.gate_up_proj', x), 2, 1) as [tf.Tensor2D, tf.Tensor2D];
  }
  return [project(layer, 'mlp.gate_proj', x), project(layer, 'mlp.up_proj', x)];
}

function project({ index, run, isLast }: Layer, projection: Projection, x: tf.Tensor2D): tf.Tensor2D {
  const module = `model.layers.${index}.${projection}`;
  const weight = run.weight(`${module}.weight`) as tf.Tensor2D;
  const biased = run.config.biases?.includes(projection);
  const bias = biased ? (run.weight(`${module}.bias`) as tf.Tensor1D) : undefined;
  const rows = isLast && !BEFORE_ATTENTION.has(projection) ? 'labels' : 'tokens';
  return linear(x, { weight, bias }, run.lora(module, rows));
}

const BEFORE_ATTENTION: ReadonlySet<Projection> = new Set([
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.qkv_proj',
]);

function layerNorm({ index, run }: Layer, name: string, x: tf.Tensor2D): tf.Tensor2D {
  return norm(run, `model.layers.${index}.${name}`, x);
}

function norm({ config, architecture, weight }: DecoderRun, name: string, x: tf.Tensor2D): tf.Tensor2D {
  const stored = weight(`${name}.weight`) as tf.Tensor1D;
  return rmsNorm(x, architecture.normsFromOne ? stored.add(1) : stored, config.rmsNormEps);
}
