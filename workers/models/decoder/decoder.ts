import * as tf from '@tensorflow/tfjs';
import { architectureOf } from '../architecture.ts';
import type { ModelConfig } from '../model-config.ts';
import type { Projection } from '../projections.ts';
import { causalAttention } from './attention.ts';
import { linear, type LoraTensors } from './linear.ts';
import { pickRows } from './losses.ts';
import { rmsNorm } from './rms-norm.ts';
import { rotaryTables, rotate, type RotaryTables } from './rotary.ts';
import { swiglu } from './swiglu.ts';

/** What the decoder computes with: tensors by Hugging Face name, and the factors of adapted modules. */
export interface DecoderTensors {
  readonly weight: (name: string) => tf.Tensor;
  readonly lora: (module: string) => LoraTensors | undefined;
  /** [rows · length] int32 */
  readonly inputIds: tf.Tensor1D;
  /** [labels] int32 flat positions */
  readonly labelPositions: tf.Tensor1D;
}

interface DecoderRun extends DecoderTensors {
  readonly config: ModelConfig;
  readonly rows: number;
  readonly length: number;
  readonly queryTables: RotaryTables;
  readonly keyTables: RotaryTables;
}

/**
 * The final hidden states of a pre-norm decoder at the label positions: [labels, hidden], after the last norm. In the
 * last layer everything after attention is computed at those positions only.
 */
export function labelHiddenStates(
  config: ModelConfig,
  batch: { rows: number; length: number },
  tensors: DecoderTensors,
): tf.Tensor2D {
  const queryTables = rotaryTables(config, batch.length, 1 / Math.sqrt(config.headDim));
  const run: DecoderRun = { ...tensors, ...batch, config, queryTables, keyTables: rotaryTables(config, batch.length) };
  let hidden = tf.gather(tensors.weight('model.embed_tokens.weight') as tf.Tensor2D, tensors.inputIds);
  for (let layer = 0; layer < config.numLayers; layer++) hidden = decoderLayer(run, layer, hidden);
  return rmsNorm(hidden, tensors.weight('model.norm.weight') as tf.Tensor1D, config.rmsNormEps);
}

/** @param hidden [rows · length, hidden]; the last layer returns [labels, hidden] */
function decoderLayer(run: DecoderRun, layer: number, hidden: tf.Tensor2D): tf.Tensor2D {
  const last = layer === run.config.numLayers - 1;
  const atLabels = (x: tf.Tensor2D) => (last ? pickRows(x, run.labelPositions) : x);
  const attended = atLabels(attention(run, layer, norm(run, layer, 'input_layernorm', hidden)));
  const residual = atLabels(hidden).add(project(run, layer, 'self_attn.o_proj', attended)) as tf.Tensor2D;
  return residual.add(mlp(run, layer, norm(run, layer, 'post_attention_layernorm', residual)));
}

function attention(run: DecoderRun, layer: number, x: tf.Tensor2D): tf.Tensor2D {
  const { rows, length, config } = run;
  const { numHeads, numKeyValueHeads: keyHeads, headDim } = config;
  const heads = (projection: Projection, count: number) =>
    project(run, layer, projection, x).reshape([rows, length, count, headDim]) as tf.Tensor4D;
  const q = headsFirst(rotate(headNorm(run, layer, 'q_norm', heads('self_attn.q_proj', numHeads)), run.queryTables));
  const k = headsFirst(rotate(headNorm(run, layer, 'k_norm', heads('self_attn.k_proj', keyHeads)), run.keyTables));
  const v = headsFirst(heads('self_attn.v_proj', keyHeads));
  const grouped = q.reshape([rows, keyHeads, (numHeads / keyHeads) * length, headDim]) as tf.Tensor4D;
  const window = config.slidingWindows?.[layer] ?? null;
  const output = causalAttention(grouped, k, v, window).reshape([rows, numHeads, length, headDim]) as tf.Tensor4D;
  return headsFirst(output).reshape([rows * length, numHeads * headDim]) as tf.Tensor2D;
}

/** RMSNorm over the features of each head, where the architecture has it. */
function headNorm(run: DecoderRun, layer: number, name: 'q_norm' | 'k_norm', x: tf.Tensor4D): tf.Tensor4D {
  if (!architectureOf(run.config).queryKeyNorm) return x;
  const features = x.reshape([-1, run.config.headDim]) as tf.Tensor2D;
  return norm(run, layer, `self_attn.${name}`, features).reshape(x.shape) as tf.Tensor4D;
}

/** [rows, length, heads, dim] to [rows, heads, length, dim], and back. */
function headsFirst(x: tf.Tensor4D): tf.Tensor4D {
  return tf.transpose(x, [0, 2, 1, 3]);
}

function mlp(run: DecoderRun, layer: number, x: tf.Tensor2D): tf.Tensor2D {
  const gated = swiglu(project(run, layer, 'mlp.gate_proj', x), project(run, layer, 'mlp.up_proj', x));
  return project(run, layer, 'mlp.down_proj', gated);
}

function project(run: DecoderRun, layer: number, projection: Projection, x: tf.Tensor2D): tf.Tensor2D {
  const module = `model.layers.${layer}.${projection}`;
  const weight = run.weight(`${module}.weight`) as tf.Tensor2D;
  const biased = run.config.biases?.includes(projection);
  const bias = biased ? (run.weight(`${module}.bias`) as tf.Tensor1D) : undefined;
  return linear(x, { weight, bias }, run.lora(module));
}

function norm(run: DecoderRun, layer: number, name: string, x: tf.Tensor2D): tf.Tensor2D {
  return rmsNorm(x, run.weight(`model.layers.${layer}.${name}.weight`) as tf.Tensor1D, run.config.rmsNormEps);
}
