import * as tf from '@tensorflow/tfjs';
import { adaptableModules, expectedWeights } from '../architecture.ts';
import type { ModelConfig } from '../model-config.ts';
import { labelHiddenStates } from './decoder.ts';
import type { LoraTensors } from './linear.ts';
import { negativeLogLikelihood } from './losses.ts';

/** `labelLosses` and `logits` run forward only; `gradients` gives the summed loss and every factor's gradient. */
export type ProgramKind = 'labelLosses' | 'gradients' | 'logits';

/** All that a program's static shapes depend on. */
export interface ProgramShape {
  readonly rows: number;
  readonly length: number;
  readonly labels: number;
  /** Rank of each adapted module, in the adapter's order; empty for the base alone. */
  readonly ranks: ReadonlyMap<string, number>;
}

export interface ProgramInput {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: 'float32' | 'int32';
}

export type ProgramTensors = Readonly<Record<string, tf.Tensor>>;

/** Names of a module's factors among a program's inputs. */
export function factorNames(module: string): { a: string; b: string } {
  return { a: `${module}.lora_A`, b: `${module}.lora_B` };
}

/** Names of a module's gradients among a `gradients` program's outputs. */
export function gradientNames(module: string): { a: string; b: string } {
  return { a: `${module}.lora_A.gradient`, b: `${module}.lora_B.gradient` };
}

/** Every input of a program: the base's weights, the adapter's factors and scalings, the batch. */
export function programInputs(config: ModelConfig, kind: ProgramKind, shape: ProgramShape): ProgramInput[] {
  const { rows, length, labels, ranks } = shape;
  return [
    ...expectedWeights(config).map((weight) => ({ ...weight, type: 'float32' as const })),
    ...factorInputs(config, ranks),
    ...(ranks.size > 0 ? [{ name: 'scalings', shape: [ranks.size], type: 'float32' as const }] : []),
    { name: 'input_ids', shape: [rows * length], type: 'int32' },
    { name: 'label_positions', shape: [labels], type: 'int32' },
    ...(kind === 'logits' ? [] : [{ name: 'label_targets', shape: [labels], type: 'int32' as const }]),
    ...(kind === 'logits' ? [] : [{ name: 'label_weights', shape: [labels], type: 'float32' as const }]),
    ...(kind === 'gradients' ? [{ name: 'gradient_scale', shape: [], type: 'float32' as const }] : []),
  ];
}

function factorInputs(config: ModelConfig, ranks: ReadonlyMap<string, number>): ProgramInput[] {
  const modules = new Map(adaptableModules(config).map((module) => [module.name, module]));
  return [...ranks].flatMap(([name, rank]): ProgramInput[] => {
    const module = modules.get(name);
    if (!module) throw new Error(`the adapter's module ${name} is not a linear layer of this ${config.modelType} model`);
    return [
      { name: factorNames(name).a, shape: [rank, module.inFeatures], type: 'float32' },
      { name: factorNames(name).b, shape: [module.outFeatures, rank], type: 'float32' },
    ];
  });
}

/**
 * The program in tfjs ops, a function of the tensors that `programInputs` lists. Outputs: `losses` [labels], or
 * `logits` [labels, vocab], or `loss_sum` [] and the gradients of loss_sum · gradient_scale.
 */
export function decoderProgram(config: ModelConfig, kind: ProgramKind, shape: ProgramShape) {
  return (inputs: ProgramTensors): ProgramTensors => {
    const lora = loraTensors(shape, inputs);
    const run: ProgramRun = { config, shape, inputs };
    switch (kind) {
      case 'labelLosses':
        return { losses: labelLosses(run, lora) };
      case 'logits':
        return { logits: tf.matMul(hiddenStates(run, lora), head(run), false, true) };
      case 'gradients':
        return lossAndGradients(run, lora);
    }
  };
}

interface ProgramRun {
  readonly config: ModelConfig;
  readonly shape: ProgramShape;
  readonly inputs: ProgramTensors;
}

type LoraByModule = ReadonlyMap<string, LoraTensors>;

function labelLosses(run: ProgramRun, lora: LoraByModule): tf.Tensor1D {
  const targets = required(run.inputs, 'label_targets') as tf.Tensor1D;
  const losses = negativeLogLikelihood(hiddenStates(run, lora), head(run), targets);
  return losses.mul(required(run.inputs, 'label_weights'));
}

function lossAndGradients(run: ProgramRun, lora: LoraByModule): ProgramTensors {
  const lossOf = (...factors: tf.Tensor[]) => labelLosses(run, withFactors(lora, factors)).sum() as tf.Scalar;
  const factors = [...lora.values()].flatMap(({ a, b }) => [a, b]);
  const { value, grads } = tf.valueAndGrads(lossOf)(factors, required(run.inputs, 'gradient_scale') as tf.Scalar);
  const names = [...lora.keys()].flatMap((module) => Object.values(gradientNames(module)));
  return { loss_sum: value, ...Object.fromEntries(names.map((name, index) => [name, grads[index]!])) };
}

/** @param factors a and b of every module in turn */
function withFactors(lora: LoraByModule, factors: readonly tf.Tensor[]): LoraByModule {
  const modules = [...lora].map(([module, { scaling }], index): [string, LoraTensors] => {
    const [a, b] = factors.slice(2 * index) as [tf.Tensor2D, tf.Tensor2D];
    return [module, { a, b, scaling }];
  });
  return new Map(modules);
}

function loraTensors({ ranks }: ProgramShape, inputs: ProgramTensors): LoraByModule {
  const scalings = ranks.size > 0 ? tf.split(required(inputs, 'scalings'), ranks.size) : [];
  const modules = [...ranks.keys()].map((module, index): [string, LoraTensors] => {
    const names = factorNames(module);
    const [a, b] = [required(inputs, names.a), required(inputs, names.b)] as [tf.Tensor2D, tf.Tensor2D];
    return [module, { a, b, scaling: scalings[index]! }];
  });
  return new Map(modules);
}

function hiddenStates({ config, shape, inputs }: ProgramRun, lora: LoraByModule): tf.Tensor2D {
  return labelHiddenStates(config, shape, {
    weight: (name) => required(inputs, name),
    lora: (module) => lora.get(module),
    inputIds: required(inputs, 'input_ids') as tf.Tensor1D,
    labelPositions: required(inputs, 'label_positions') as tf.Tensor1D,
  });
}

/** The output head [vocab, hidden]: the embedding itself where the model ties them. */
function head({ config, inputs }: ProgramRun): tf.Tensor2D {
  const name = config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';
  return required(inputs, name) as tf.Tensor2D;
}

function required(inputs: ProgramTensors, name: string): tf.Tensor {
  const tensor = inputs[name];
  if (!tensor) throw new Error(`the decoder program was run without its input ${name}`);
  return tensor;
}
