import { adaptableModules, expectedWeights } from '../../models/architecture/architecture.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { LAYER_TYPES, rotaryPairs, type LayerType } from '../../models/config/rope.ts';
import type { TrainableName } from '../../models/lora/trainable-arrays.ts';

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
  readonly bins: number;
  readonly binLength: number;
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
export function programInputs(
  { config, kind, modules, dropout, repeats }: ProgramSpec,
  sizes: ProgramSizes,
): ProgramInput[] {
  const { tokens, labels, bins, binLength } = sizes;
  const float32 = (name: string, shape: readonly number[]): ProgramInput => ({ name, shape, type: 'float32' });
  const int32 = (name: string, shape: readonly number[]): ProgramInput => ({ name, shape, type: 'int32' });
  return [
    ...expectedWeights(config).map(({ name, shape }) => float32(name, shape)),
    ...factorInputs(config, modules),
    ...(modules.size > 0 ? [float32('scalings', [modules.size])] : []),
    int32('input_ids', [tokens]),
    int32('positions', [tokens]),
    ...angleNames(config).map((name) =>
      float32(name, [tokens, rotaryPairs(config.headDim, config.partialRotaryFactor)]),
    ),
    int32('bin_tokens', [bins, binLength]),
    int32('bin_sequences', [bins, binLength]),
    int32('token_places', [tokens]),
    ...(repeats ? [int32('repeat_tokens', [sizes.repeats]), int32('repeat_places', [sizes.repeats])] : []),
    ...(repeats ? [float32('token_shares', [tokens, 1])] : []),
    int32('label_positions', [labels]),
    ...(kind === 'logits' ? [] : [int32('label_ids', [labels])]),
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
    if (!linear)
      throw new Error(`the adapter's module ${name} is not a linear layer of this ${config.modelType} model`);
    const shapes = { a: [rank, linear.inFeatures], b: [linear.outFeatures, rank], magnitude: [linear.outFeatures] };
    const trained = trainedNames(dora).map((each) => ({ name: inputName(name, each), shape: shapes[each] }));
    const frozen = dora ? [{ name: weightSquaresName(name), shape: shapes.magnitude }] : [];
    return [...trained, ...frozen].map((input) => ({ ...input, type: 'float32' }));
  });
}

/** The arrays of a module that training changes. */
export function trainedNames(dora: boolean): TrainableName[] {
  return dora ? ['a', 'b', 'magnitude'] : ['a', 'b'];
}
