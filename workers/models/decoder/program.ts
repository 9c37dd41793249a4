import * as tf from '@tensorflow/tfjs';
import { adaptableModules, expectedWeights } from '../architecture.ts';
import type { ModelConfig } from '../model-config.ts';
import { LAYER_TYPES, rotaryPairs, type LayerType } from '../rope.ts';
import type { TrainableName } from '../trainable-arrays.ts';
import { attentionTensors, type AttentionSource, type AttentionTensors } from './attention-tensors.ts';
import { labelHiddenStates, type RowsOf } from './decoder.ts';
import type { DoraTensors } from './dora.ts';
import type { LoraTensors } from './linear.ts';
import { logitsOf, negativeLogLikelihood, type Head } from './losses.ts';
import type { Repeats } from './slots.ts';

/** `labelLosses` and `logits` run forward only; `gradients` gives the summed loss and every factor's gradient. */
export type ProgramKind = 'labelLosses' | 'gradients' | 'logits';

/** All that a program is specialised to. Batches of any {@link ProgramSizes} run on it. */
export interface ProgramSpec {
  readonly config: ModelConfig;
  readonly kind: ProgramKind;
  /** The adapted modules, in the adapter's order; empty for the base alone. */
  readonly modules: ReadonlyMap<string, AdaptedModule>;
  /** A `gradients` program that drops inputs of every A. */
  readonly dropout: boolean;
  /** A `gradients` program for batches whose sequences share beginnings. */
  readonly repeats: boolean;
}

/** What differs from batch to batch. */
export interface ProgramSizes {
  readonly tokens: number;
  readonly labels: number;
  /** Of attention: how many sequences' room side by side, and the length of each. */
  readonly slots: number;
  readonly slotLength: number;
  /** Further places of tokens that lie at several; of no meaning to programs without `repeats`. */
  readonly repeats: number;
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

const ROTARY_ANGLES: Readonly<Record<LayerType, string>> = {
  full_attention: 'rotary_angles',
  sliding_attention: 'sliding_rotary_angles',
};

/** Name of the input with the rotary angles of one kind of layer; one input where they do not differ. */
export function anglesName(config: ModelConfig, type: LayerType): string {
  return ROTARY_ANGLES[config.slidingRope ? type : 'full_attention'];
}

/** Every input of a program: the base's weights, the adapter's factors and scalings, the batch. */
export function programInputs({ config, kind, modules, dropout, repeats }: ProgramSpec, sizes: ProgramSizes): ProgramInput[] {
  const { tokens, labels, slots, slotLength } = sizes;
  const float32 = (name: string, shape: readonly number[]): ProgramInput => ({ name, shape, type: 'float32' });
  const int32 = (name: string, shape: readonly number[]): ProgramInput => ({ name, shape, type: 'int32' });
  return [
    ...expectedWeights(config).map(({ name, shape }) => float32(name, shape)),
    ...factorInputs(config, modules),
    ...(modules.size > 0 ? [float32('scalings', [modules.size])] : []),
    int32('input_ids', [tokens]),
    int32('positions', [tokens]),
    ...angleNames(config).map((name) => float32(name, [tokens, rotaryPairs(config.headDim, config.partialRotaryFactor)])),
    int32('slot_tokens', [slots, slotLength]),
    int32('slot_sequences', [slots, slotLength]),
    int32('token_slots', [tokens]),
    ...(repeats ? [int32('repeat_tokens', [sizes.repeats]), int32('repeat_places', [sizes.repeats])] : []),
    ...(repeats ? [float32('token_shares', [tokens, 1])] : []),
    int32('label_positions', [labels]),
    ...(kind === 'logits' ? [] : [int32('label_targets', [labels])]),
    ...(kind === 'gradients' ? [float32('gradient_scale', [])] : []),
    ...(dropout ? [float32('dropout_rate', []), float32('dropout_tokens', [tokens])] : []),
    ...(dropout ? [float32('dropout_features', [sumOf(inputWidths(config, modules))])] : []),
  ];
}

function angleNames(config: ModelConfig): string[] {
  return [...new Set(LAYER_TYPES.map((type) => anglesName(config, type)))];
}

/** Input features of each adapted module, in the adapter's order: the parts of `dropout_features`. */
export function inputWidths(config: ModelConfig, adapted: Pick<ProgramSpec['modules'], 'keys'>): number[] {
  const widths = new Map(adaptableModules(config).map(({ name, inFeatures }) => [name, inFeatures]));
  return [...adapted.keys()].map((module) => widths.get(module)!);
}

function sumOf(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function factorInputs(config: ModelConfig, adapted: ProgramSpec['modules']): ProgramInput[] {
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
export function decoderProgram(spec: ProgramSpec) {
  return (inputs: ProgramTensors): ProgramTensors => {
    const run: ProgramRun = {
      spec,
      inputs,
      scalings: scalingsOf(spec, inputs),
      dropout: spec.dropout ? dropoutOf(spec, inputs) : null,
      attention: attentionTensors(spec.config, attentionSource(spec, inputs)),
    };
    switch (spec.kind) {
      case 'labelLosses':
        return { losses: labelLosses(run) };
      case 'logits':
        return { logits: logitsOf(hiddenStates(run), head(run)) };
      case 'gradients':
        return lossAndGradients(run);
    }
  };
}

interface ProgramRun {
  readonly spec: ProgramSpec;
  readonly inputs: ProgramTensors;
  /** One a module. Gradients use them after the forward pass, so they are made outside of what is differentiated. */
  readonly scalings: readonly tf.Tensor[];
  readonly attention: AttentionTensors;
  /** The random numbers of each module, by name. */
  readonly dropout: DropoutSource | null;
}

interface DropoutSource {
  /** [tokens], and [labels] at the label positions. */
  readonly rows: { readonly tokens: tf.Tensor1D; readonly labels: tf.Tensor1D };
  readonly features: ReadonlyMap<string, tf.Tensor1D>;
  readonly rate: tf.Tensor;
}

function attentionSource({ config, repeats }: ProgramSpec, inputs: ProgramTensors): AttentionSource {
  return {
    positions: required(inputs, 'positions') as tf.Tensor1D,
    slotSequences: required(inputs, 'slot_sequences') as tf.Tensor2D,
    indices: {
      slotTokens: required(inputs, 'slot_tokens') as tf.Tensor2D,
      tokenSlots: required(inputs, 'token_slots') as tf.Tensor1D,
      ...(repeats && { repeats: repeatsOf(inputs) }),
    },
    angles: (type) => required(inputs, anglesName(config, type)) as tf.Tensor2D,
  };
}

function repeatsOf(inputs: ProgramTensors): Repeats {
  return {
    tokens: required(inputs, 'repeat_tokens') as tf.Tensor1D,
    places: required(inputs, 'repeat_places') as tf.Tensor1D,
    shares: required(inputs, 'token_shares') as tf.Tensor2D,
  };
}

function labelLosses(run: ProgramRun): tf.Tensor1D {
  return negativeLogLikelihood(hiddenStates(run), head(run), required(run.inputs, 'label_targets') as tf.Tensor1D);
}

function lossAndGradients(run: ProgramRun): ProgramTensors {
  const trained = [...run.spec.modules].flatMap(([module, { dora }]) =>
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

function scalingsOf({ modules }: ProgramSpec, inputs: ProgramTensors): tf.Tensor[] {
  return modules.size > 0 ? tf.split(required(inputs, 'scalings'), modules.size) : [];
}

function dropoutOf({ config, modules }: ProgramSpec, inputs: ProgramTensors): DropoutSource {
  const tokens = required(inputs, 'dropout_tokens') as tf.Tensor1D;
  const parts = tf.split(required(inputs, 'dropout_features'), inputWidths(config, modules)) as tf.Tensor1D[];
  return {
    rows: { tokens, labels: tf.gather(tokens, required(inputs, 'label_positions') as tf.Tensor1D) },
    features: new Map([...modules.keys()].map((module, index) => [module, parts[index]!])),
    rate: required(inputs, 'dropout_rate'),
  };
}

function loraTensors({ spec: { modules }, inputs, scalings }: ProgramRun): ReadonlyMap<string, LoraTensors> {
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
  const { spec, inputs, attention } = run;
  const lora = loraTensors(run);
  return labelHiddenStates(spec.config, {
    weight: (name) => required(inputs, name),
    lora: (module, at) => withDropout(lora.get(module), module, at, run),
    inputIds: required(inputs, 'input_ids') as tf.Tensor1D,
    labelPositions: required(inputs, 'label_positions') as tf.Tensor1D,
    attention,
  });
}

function withDropout(lora: LoraTensors | undefined, module: string, at: RowsOf, { dropout }: ProgramRun): LoraTensors | undefined {
  if (!lora || !dropout) return lora;
  const { rows, features, rate } = dropout;
  return { ...lora, dropout: { rows: rows[at], features: features.get(module)!, rate } };
}

/** The output head: the embedding itself where the model ties them. */
function head({ spec: { config }, inputs }: ProgramRun): Head {
  const name = config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight';
  return { weight: required(inputs, name) as tf.Tensor2D, cap: config.logitSoftcap ?? null };
}

function required(inputs: ProgramTensors, name: string): tf.Tensor {
  const tensor = inputs[name];
  if (!tensor) throw new Error(`the decoder program was run without its input ${name}`);
  return tensor;
}
