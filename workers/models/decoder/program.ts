import * as tf from '@tensorflow/tfjs';
import { adaptableModules, expectedWeights } from '../architecture.ts';
import type { ModelConfig } from '../model-config.ts';
import { labelHiddenStates } from './decoder.ts';
import type { TrainableName } from '../trainable-arrays.ts';
import type { DoraTensors } from './dora.ts';
import type { LoraTensors } from './linear.ts';
import { negativeLogLikelihood } from './losses.ts';

/** `labelLosses` and `logits` run forward only; `gradients` gives the summed loss and every factor's gradient. */
export type ProgramKind = 'labelLosses' | 'gradients' | 'logits';

/** All that a program's static shapes depend on. */
export interface ProgramShape {
  readonly rows: number;
  readonly length: number;
  readonly labels: number;
  /** The adapted modules, in the adapter's order; empty for the base alone. */
  readonly modules: ReadonlyMap<string, AdaptedModule>;
}

/** How a module is adapted, as far as the program depends on it. */
export interface AdaptedModule {
  readonly rank: number;
  /** It has a magnitude beside its factors. */
  readonly dora: boolean;
}

export interface ProgramInput {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: 'float32' | 'int32';
}

export type ProgramTensors = Readonly<Record<string, tf.Tensor>>;

const SUFFIXES: Readonly<Record<TrainableName, string>> = {
  a: 'lora_A',
  b: 'lora_B',
  magnitude: 'lora_magnitude_vector',
};

/** Name of one of a module's factors among a program's inputs. */
export function inputName(module: string, name: TrainableName): string {
  return `${module}.${SUFFIXES[name]}`;
}

/** Name of its gradient among a `gradients` program's outputs. */
export function gradientName(module: string, name: TrainableName): string {
  return `${inputName(module, name)}.gradient`;
}

/** Name of a DoRA module's input that follows from the base alone: ‖W‖² of each row, [outFeatures]. */
export function weightSquaresName(module: string): string {
  return `${module}.weight_squares`;
}

/** Every input of a program: the base's weights, the adapter's factors and scalings, the batch. */
export function programInputs(config: ModelConfig, kind: ProgramKind, shape: ProgramShape): ProgramInput[] {
  const { rows, length, labels, modules } = shape;
  return [
    ...expectedWeights(config).map((weight) => ({ ...weight, type: 'float32' as const })),
    ...factorInputs(config, modules),
    ...(modules.size > 0 ? [{ name: 'scalings', shape: [modules.size], type: 'float32' as const }] : []),
    { name: 'input_ids', shape: [rows * length], type: 'int32' },
    { name: 'label_positions', shape: [labels], type: 'int32' },
    ...(kind === 'logits' ? [] : [{ name: 'label_targets', shape: [labels], type: 'int32' as const }]),
    ...(kind === 'logits' ? [] : [{ name: 'label_weights', shape: [labels], type: 'float32' as const }]),
    ...(kind === 'gradients' ? [{ name: 'gradient_scale', shape: [], type: 'float32' as const }] : []),
  ];
}

function factorInputs(config: ModelConfig, adapted: ProgramShape['modules']): ProgramInput[] {
  const linears = new Map(adaptableModules(config).map((module) => [module.name, module]));
  return [...adapted].flatMap(([name, { rank, dora }]): ProgramInput[] => {
    const linear = linears.get(name);
    if (!linear) throw new Error(`the adapter's module ${name} is not a linear layer of this ${config.modelType} model`);
    const shapes = { a: [rank, linear.inFeatures], b: [linear.outFeatures, rank], magnitude: [linear.outFeatures] };
    const trained = trainedNames(dora).map((each) => ({ name: inputName(name, each), shape: shapes[each] }));
    const frozen = dora ? [{ name: weightSquaresName(name), shape: shapes.magnitude }] : [];
    return [...trained, ...frozen].map((input) => ({ ...input, type: 'float32' }));
  });
}

function trainedNames(dora: boolean): TrainableName[] {
  return dora ? ['a', 'b', 'magnitude'] : ['a', 'b'];
}

/**
 * The program in tfjs ops, a function of the tensors that `programInputs` lists. Outputs: `losses` [labels], or
 * `logits` [labels, vocab], or `loss_sum` [] and the gradients of loss_sum · gradient_scale.
 */
export function decoderProgram(config: ModelConfig, kind: ProgramKind, shape: ProgramShape) {
  return (inputs: ProgramTensors): ProgramTensors => {
    const run: ProgramRun = { config, shape, inputs, scalings: scalingsOf(shape, inputs) };
    switch (kind) {
      case 'labelLosses':
        return { losses: labelLosses(run) };
      case 'logits':
        return { logits: tf.matMul(hiddenStates(run), head(run), false, true) };
      case 'gradients':
        return lossAndGradients(run);
    }
  };
}

interface ProgramRun {
  readonly config: ModelConfig;
  readonly shape: ProgramShape;
  readonly inputs: ProgramTensors;
  /** One a module. Gradients use them after the forward pass, so they are made outside of what is differentiated. */
  readonly scalings: readonly tf.Tensor[];
}

function labelLosses(run: ProgramRun): tf.Tensor1D {
  const targets = required(run.inputs, 'label_targets') as tf.Tensor1D;
  const losses = negativeLogLikelihood(hiddenStates(run), head(run), targets);
  return losses.mul(required(run.inputs, 'label_weights'));
}

function lossAndGradients(run: ProgramRun): ProgramTensors {
  const trained = [...run.shape.modules].flatMap(([module, { dora }]) =>
    trainedNames(dora).map((name) => ({ input: inputName(module, name), gradient: gradientName(module, name) })),
  );
  const lossOf = (...values: tf.Tensor[]) => {
    const replaced = Object.fromEntries(trained.map(({ input }, index) => [input, values[index]!]));
    return labelLosses({ ...run, inputs: { ...run.inputs, ...replaced } }).sum() as tf.Scalar;
  };
  const at = trained.map(({ input }) => required(run.inputs, input));
  const { value, grads } = tf.valueAndGrads(lossOf)(at, required(run.inputs, 'gradient_scale') as tf.Scalar);
  const outputs = trained.map(({ gradient }, index) => [gradient, grads[index]!]);
  return { loss_sum: value, ...Object.fromEntries(outputs) };
}

function scalingsOf({ modules }: ProgramShape, inputs: ProgramTensors): tf.Tensor[] {
  return modules.size > 0 ? tf.split(required(inputs, 'scalings'), modules.size) : [];
}

function loraTensors({ shape: { modules }, inputs, scalings }: ProgramRun): ReadonlyMap<string, LoraTensors> {
  return new Map(
    [...modules].map(([module, { dora }], index): [string, LoraTensors] => {
      const a = required(inputs, inputName(module, 'a')) as tf.Tensor2D;
      const b = required(inputs, inputName(module, 'b')) as tf.Tensor2D;
      const lora = { a, b, scaling: scalings[index]! };
      return [module, dora ? { ...lora, dora: doraTensors(inputs, module) } : lora];
    }),
  );
}

function doraTensors(inputs: ProgramTensors, module: string): DoraTensors {
  return {
    magnitude: required(inputs, inputName(module, 'magnitude')) as tf.Tensor1D,
    weightSquares: required(inputs, weightSquaresName(module)) as tf.Tensor1D,
  };
}

function hiddenStates(run: ProgramRun): tf.Tensor2D {
  const { config, shape, inputs } = run;
  const lora = loraTensors(run);
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
