import * as tf from '@tensorflow/tfjs';
import type { Architecture, BlockNorms } from '../../models/architecture/architecture-declaration.ts';
import { architectureOf } from '../../models/architecture/architecture.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { Projection } from '../../models/lora/projections.ts';
import { attend } from './attention/attention.ts';
import type { AttentionTensors } from './attention/attention-tensors.ts';
import { gated } from './gated.ts';
import { linear, type LoraTensors } from './linear.ts';
import { pickRows } from './losses.ts';
import { rmsNorm } from './rms-norm.ts';
import { rotate, type RotaryTables } from './attention/rotary.ts';
import { fromBins, toBins } from './attention/bins.ts';

/** What the rows of a linear layer's input are: every token, or in the last layer after attention the label positions. */
export type RowsOf = 'tokens' | 'labels';

/** What the decoder computes with: tensors by Hugging Face name, and the factors of adapted modules. */
export interface DecoderTensors {
  readonly weight: (name: string) => tf.Tensor;
  readonly lora: (module: string, at: RowsOf) => LoraTensors | undefined;
  /** [tokens] int32 */
  readonly inputIds: tf.Tensor1D;
  /** [labels] int32 positions in `inputIds` */
  readonly labelPositions: tf.Tensor1D;
  readonly attention: AttentionTensors;
}

interface DecoderRun extends DecoderTensors {
  readonly config: ModelConfig;
  readonly architecture: Architecture;
}

/**
 * The final hidden states of a decoder at the label positions: [labels, hidden], after the last norm. In the last layer
 * everything after attention is computed at those positions only.
 */
export function labelHiddenStates(config: ModelConfig, tensors: DecoderTensors): tf.Tensor2D {
  const run: DecoderRun = { ...tensors, config, architecture: architectureOf(config) };
  let hidden = embed(run);
  for (let layer = 0; layer < config.numLayers; layer++) hidden = decoderLayer(run, layer, hidden);
  return norm(run, 'model.norm', hidden);
}

function embed({ config, architecture, weight, inputIds }: DecoderRun): tf.Tensor2D {
  const embeddings = tf.gather(weight('model.embed_tokens.weight') as tf.Tensor2D, inputIds);
  return architecture.scaledEmbeddings ? embeddings.mul(Math.sqrt(config.hiddenSize)) : embeddings;
}

/** @param hidden [tokens, hidden]; the last layer returns [labels, hidden] */
function decoderLayer(run: DecoderRun, layer: number, hidden: tf.Tensor2D): tf.Tensor2D {
  const { norms } = run.architecture;
  const last = layer === run.config.numLayers - 1;
  const atLabels = (x: tf.Tensor2D) => (last ? pickRows(x, run.labelPositions) : x);
  const attended = residual(run, layer, norms.attention, {
    hidden,
    block: (x) => project(run, layer, 'self_attn.o_proj', atLabels(attention(run, layer, x))),
    skip: atLabels,
  });
  return residual(run, layer, norms.mlp, { hidden: attended, block: (x) => mlp(run, layer, x) });
}

interface Block {
  readonly hidden: tf.Tensor2D;
  readonly block: (x: tf.Tensor2D) => tf.Tensor2D;
  /** What of the hidden states goes around the block. Default: all. */
  readonly skip?: (hidden: tf.Tensor2D) => tf.Tensor2D;
}

/** x + output(block(input(x))). */
function residual(
  run: DecoderRun,
  layer: number,
  { input, output }: BlockNorms,
  { hidden, block, skip }: Block,
): tf.Tensor2D {
  const normed = (name: string | null, x: tf.Tensor2D) => (name === null ? x : layerNorm(run, layer, name, x));
  return (skip?.(hidden) ?? hidden).add(normed(output, block(normed(input, hidden))));
}

function attention(run: DecoderRun, layer: number, x: tf.Tensor2D): tf.Tensor2D {
  const { config, attention: tensors } = run;
  const { numHeads, numKeyValueHeads: keyHeads, headDim } = config;
  const { query, key, mask, indices, queryScale } = tensors.layer(layer);
  const projected = queriesKeysValues(run, layer, x);
  const turned = (name: 'q_norm' | 'k_norm', part: tf.Tensor2D, tables: RotaryTables) =>
    rotate(headNorm(run, layer, name, part), headDim, tables);
  const q = turned('q_norm', projected.q, query);
  const heads = (part: tf.Tensor2D, count: number) => headsFirst(toBins(part, indices), count, headDim);
  const queries = heads(queryScale === 1 ? q : q.mul(queryScale), numHeads);
  const [bins, , length] = queries.shape;
  const output = attend(
    {
      q: queries.reshape([bins, keyHeads, (numHeads / keyHeads) * length, headDim]) as tf.Tensor4D,
      k: heads(turned('k_norm', projected.k, key), keyHeads),
      v: heads(projected.v, keyHeads),
    },
    mask,
    config.attentionSoftcap ?? null,
  );
  const byHead = tf.transpose(output.reshape([bins, numHeads, length, headDim]), [0, 2, 1, 3]);
  return fromBins(byHead.reshape([bins, length, numHeads * headDim]) as tf.Tensor3D, indices);
}

/** [bins, length, heads · dim] to [bins, heads, length, dim]. */
function headsFirst(x: tf.Tensor3D, heads: number, headDim: number): tf.Tensor4D {
  const [bins, length] = x.shape;
  return tf.transpose(x.reshape([bins, length, heads, headDim]) as tf.Tensor4D, [0, 2, 1, 3]);
}

function queriesKeysValues(run: DecoderRun, layer: number, x: tf.Tensor2D): Record<'q' | 'k' | 'v', tf.Tensor2D> {
  const { config, architecture } = run;
  if (architecture.projections.includes('self_attn.qkv_proj')) {
    const keyValue = config.numKeyValueHeads * config.headDim;
    const widths = [config.numHeads * config.headDim, keyValue, keyValue];
    const [q, k, v] = tf.split(project(run, layer, 'self_attn.qkv_proj', x), widths, 1) as [
      tf.Tensor2D,
      tf.Tensor2D,
      tf.Tensor2D,
    ];
    return { q, k, v };
  }
  return {
    q: project(run, layer, 'self_attn.q_proj', x),
    k: project(run, layer, 'self_attn.k_proj', x),
    v: project(run, layer, 'self_attn.v_proj', x),
  };
}

/** RMSNorm of queries or keys where the architecture has it: over each head's features, or over all. */
function headNorm(run: DecoderRun, layer: number, name: 'q_norm' | 'k_norm', x: tf.Tensor2D): tf.Tensor2D {
  const { queryKeyNorm } = run.architecture;
  if (queryKeyNorm === null) return x;
  if (queryKeyNorm === 'projection') return layerNorm(run, layer, `self_attn.${name}`, x);
  const features = x.reshape([-1, run.config.headDim]) as tf.Tensor2D;
  return layerNorm(run, layer, `self_attn.${name}`, features).reshape(x.shape);
}

function mlp(run: DecoderRun, layer: number, x: tf.Tensor2D): tf.Tensor2D {
  const [gate, up] = gateAndUp(run, layer, x);
  return project(run, layer, 'mlp.down_proj', gated(gate, up, run.architecture.activation));
}

function gateAndUp(run: DecoderRun, layer: number, x: tf.Tensor2D): [tf.Tensor2D, tf.Tensor2D] {
  if (run.architecture.projections.includes('mlp.gate_up_proj')) {
    return tf.split(project(run, layer, 'mlp.gate_up_proj', x), 2, 1) as [tf.Tensor2D, tf.Tensor2D];
  }
  return [project(run, layer, 'mlp.gate_proj', x), project(run, layer, 'mlp.up_proj', x)];
}

function project(run: DecoderRun, layer: number, projection: Projection, x: tf.Tensor2D): tf.Tensor2D {
  const module = `model.layers.${layer}.${projection}`;
  const weight = run.weight(`${module}.weight`) as tf.Tensor2D;
  const biased = run.config.biases?.includes(projection);
  const bias = biased ? (run.weight(`${module}.bias`) as tf.Tensor1D) : undefined;
  return linear(x, { weight, bias }, run.lora(module, rowsOf(run, layer, projection)));
}

function rowsOf({ config }: DecoderRun, layer: number, projection: Projection): RowsOf {
  const last = layer === config.numLayers - 1;
  return last && !BEFORE_ATTENTION.has(projection) ? 'labels' : 'tokens';
}

const BEFORE_ATTENTION: ReadonlySet<Projection> = new Set([
  'self_attn.q_proj',
  'self_attn.k_proj',
  'self_attn.v_proj',
  'self_attn.qkv_proj',
]);

function layerNorm(run: DecoderRun, layer: number, name: string, x: tf.Tensor2D): tf.Tensor2D {
  return norm(run, `model.layers.${layer}.${name}`, x);
}

function norm({ config, architecture, weight }: DecoderRun, name: string, x: tf.Tensor2D): tf.Tensor2D {
  const stored = weight(`${name}.weight`) as tf.Tensor1D;
  return rmsNorm(x, architecture.normsFromOne ? stored.add(1) : stored, config.rmsNormEps);
}
