import { adaptableModules, expectedWeights } from '../../models/architecture/architecture.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { LAYER_TYPES, rotaryPairs, type LayerType } from '../../models/config/rope.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { TrainableName } from '../../models/lora/trainable-arrays.ts';

/**
 * Kind of a program. `labelLosses` computes the loss of each label, `gradients` the summed loss with the gradient of
 * every factor, and `logits` the logits at the label positions. `prefill` computes logits and returns each layer's keys
 * and values; `decode` takes these and computes the logits of one further token of each row. Only `gradients` has a
 * backward pass.
 */
export type ProgramKind = 'labelLosses' | 'gradients' | 'logits' | 'prefill' | 'decode';

/** Properties that are fixed when a program is built. Batches of any {@link ProgramSizes} run on it. */
export interface ProgramSpec {
  readonly config: ModelConfig;
  readonly kind: ProgramKind;
  /** Modules that the adapter changes, by name and in its order; empty for the base alone. */
  readonly modules: ReadonlyMap<string, AdaptedModule>;
  /** Whether a `gradients` program applies dropout to the inputs of every A. */
  readonly dropout: boolean;
  /** Whether a `gradients` program supports batches whose sequences share beginnings. */
  readonly repeats: boolean;
  /** Number of query blocks that attention computes one after another; 1 computes all at once. */
  readonly attentionBlocks: number;
  /**
   * Number of blocks that the labelled tokens are cut into. Their losses are computed block after block, which takes
   * less memory; 1 computes all at once.
   */
  readonly labelBlocks: number;
  /** Number of soft targets of each label in a `gradients` program; 0 if each label is one token. */
  readonly targets: number;
  /** Values that a `gradients` program computes again rather than keeping them from the forward pass. */
  readonly recompute: Recompute;
}

/**
 * Extent of recomputation in the backward pass. `cheap`: values that follow cheaply from kept ones. `scores`:
 * attention's scores and probabilities, too. `layers`: everything in a layer except the inputs of its attention and its
 * MLP.
 */
export type Recompute = 'cheap' | 'scores' | 'layers';

/** Properties of an adapted module that the program depends on. */
export interface AdaptedModule {
  readonly rank: number;
  /** Whether the module has a magnitude in addition to its factors. */
  readonly dora: boolean;
}

interface ProgramOptions {
  readonly kind: ProgramKind;
  readonly config: ModelConfig;
  readonly adapter: Adapter | null;
  readonly dropout?: boolean;
  readonly repeats?: boolean;
  readonly attentionBlocks?: number;
  readonly labelBlocks?: number;
  readonly targets?: number;
  /**
   * Extent of recomputation in the backward pass. Default: `scores` if attention is computed in blocks, else `cheap`.
   */
  readonly recompute?: Recompute;
}

/**
 * Makes the specification of a program for a base of this config and an adapter; a null adapter means the base alone.
 */
export function programSpec(options: ProgramOptions): ProgramSpec {
  const { kind, config, adapter, dropout = false, repeats = false, attentionBlocks = 1, labelBlocks = 1 } = options;
  const { targets = 0, recompute = attentionBlocks > 1 ? 'scores' : 'cheap' } = options;
  const modules = [...(adapter?.modules ?? [])].map(([module, { rank, magnitude }]): [string, AdaptedModule] => {
    return [module, { rank, dora: magnitude !== undefined }];
  });
  const shape = { attentionBlocks, labelBlocks, targets, recompute };
  return { config, kind, modules: new Map(modules), dropout, repeats, ...shape };
}

/** Sizes that differ from batch to batch; 0 if a program has no input of that size. */
export interface ProgramSizes {
  /** Number of tokens that go through the model; in a `decode` program, one for each row of the cache. */
  readonly tokens: number;
  /** Number of labels or, if losses are computed in blocks, of labels in a block. */
  readonly labels: number;
  /** Number of bins that attention packs sequences into. */
  readonly bins: number;
  /** Number of places in a bin or, if attention is computed in blocks, in a block. */
  readonly binLength: number;
  /**
   * Number of places of tokens in the bins beyond the first place of each token; 0 unless sequences share beginnings.
   * Programs without `repeats` ignore it.
   */
  readonly repeats: number;
  /** Number of places for earlier tokens in each row of a `decode` program's cache. */
  readonly slots: number;
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

/** Name of the program's input that holds one of a module's trainable arrays. */
export function inputName(module: string, name: TrainableName): string {
  return `${module}.${SUFFIXES[name]}`;
}

/** Name of the output of a `gradients` program with the gradient of one of a module's trainable arrays. */
export function gradientName(module: string, name: TrainableName): string {
  return `${inputName(module, name)}.gradient`;
}

/** Names of the two parts of a layer's key-value cache. */
export const CACHED = ['keys', 'values'] as const;

export type CachedPart = (typeof CACHED)[number];

/** Name of the output with a layer's keys or values of a call's tokens, [tokens, keyValueHeads · headDim]. */
export function newStateName(part: CachedPart, layer: number): string {
  return `new_${part}.${layer}`;
}

/** Name of the input with a layer's keys or values of earlier tokens, [rows, keyValueHeads, slots, headDim]. */
export function cachedStateName(part: CachedPart, layer: number): string {
  return `cached_${part}.${layer}`;
}

/** Name of the input with ‖W‖² of each row of a DoRA module, [outFeatures], which follows from the base alone. */
export function weightSquaresName(module: string): string {
  return `${module}.weight_squares`;
}

/**
 * Name of the input of `decode`, and the output of `prefill`, with the factors of a DoRA module's outputs,
 * [outFeatures].
 */
export function doraFactorsName(module: string): string {
  return `${module}.dora_factors`;
}

const ROTARY_ANGLES: Readonly<Record<LayerType, string>> = {
  full_attention: 'rotary_angles',
  sliding_attention: 'sliding_rotary_angles',
};

/** Name of the input with the rotary angles of a layer type; layer types with equal angles share an input. */
export function anglesName(config: ModelConfig, type: LayerType): string {
  return ROTARY_ANGLES[config.slidingRope ? type : 'full_attention'];
}

/** Returns the layer types that have rotary angles of their own, which is one type if all layers have equal angles. */
export function angleTypes(config: ModelConfig): readonly LayerType[] {
  return config.slidingRope ? LAYER_TYPES : ['full_attention'];
}

function float32(name: string, shape: readonly number[]): ProgramInput {
  return { name, shape, type: 'float32' };
}

function int32(name: string, shape: readonly number[]): ProgramInput {
  return { name, shape, type: 'int32' };
}

/**
 * Lists every input of a program: the base's weights, the adapter's factors and scalings, the tokens and their places.
 */
export function programInputs(spec: ProgramSpec, sizes: ProgramSizes): ProgramInput[] {
  return [...parameterInputs(spec), ...tokenInputs(spec, sizes)];
}

/** Lists the inputs that are equal in every call: the base's weights, the adapter's factors and scalings. */
export function parameterInputs(spec: ProgramSpec): ProgramInput[] {
  const { config, modules } = spec;
  return [
    ...expectedWeights(config).map(({ name, shape }) => float32(name, shape)),
    ...factorInputs(spec),
    ...(modules.size > 0 ? [float32('scalings', [modules.size])] : []),
  ];
}

/** Lists the inputs that depend on a call's tokens. */
export function tokenInputs(spec: ProgramSpec, sizes: ProgramSizes): ProgramInput[] {
  const { config } = spec;
  const pairs = rotaryPairs(config.headDim, config.partialRotaryFactor);
  return [
    int32('input_ids', [sizes.tokens]),
    int32('positions', [sizes.tokens]),
    ...angleTypes(config).map((type) => float32(anglesName(config, type), [sizes.tokens, pairs])),
    ...(spec.kind === 'decode' ? cacheInputs(config, sizes) : batchInputs(spec, sizes)),
  ];
}

function cacheInputs({ numLayers, numKeyValueHeads, headDim }: ModelConfig, { tokens, slots }: ProgramSizes) {
  const shape = [tokens, numKeyValueHeads, slots, headDim];
  const layers = [...Array(numLayers).keys()];
  return [
    int32('slots', [slots]),
    ...layers.flatMap((layer) => CACHED.map((part) => float32(cachedStateName(part, layer), shape))),
  ];
}

function batchInputs(spec: ProgramSpec, sizes: ProgramSizes): ProgramInput[] {
  const { config, kind, modules, dropout, repeats, attentionBlocks } = spec;
  const { tokens, bins, binLength } = sizes;
  const places = attentionBlocks === 1 ? [bins, binLength] : [bins, attentionBlocks, binLength];
  return [
    int32('bin_tokens', places),
    int32('bin_sequences', places),
    int32('token_places', [tokens]),
    ...(repeats ? [int32('repeat_tokens', [sizes.repeats]), int32('repeat_places', [sizes.repeats])] : []),
    ...(repeats ? [float32('token_shares', [tokens, 1])] : []),
    ...labelInputs(spec, spec.labelBlocks * sizes.labels),
    ...(kind === 'gradients' ? [float32('gradient_scale', [])] : []),
    ...(dropout ? [float32('dropout_rate', []), float32('dropout_tokens', [tokens])] : []),
    ...(dropout ? [float32('dropout_features', [sumOf(inputWidths(config, modules))])] : []),
  ];
}

function labelInputs({ kind, labelBlocks, targets }: ProgramSpec, labels: number): ProgramInput[] {
  const positions = int32('label_positions', [labels]);
  if (kind === 'logits' || kind === 'prefill') return [positions];
  if (targets > 0) {
    return [positions, int32('target_ids', [targets, labels]), float32('target_shares', [targets, labels])];
  }
  const weights = kind === 'gradients' && labelBlocks > 1 ? [float32('label_weights', [labels])] : [];
  return [positions, int32('label_ids', [labels]), ...weights];
}

/**
 * Returns the number of input features of each adapted module, in the adapter's order. The input `dropout_features`
 * consists of one part of this length for each module.
 * @throws Error for a module that is not a linear layer of the base
 */
export function inputWidths(config: ModelConfig, modules: ProgramSpec['modules']): number[] {
  return adaptedLayers(config, modules).map(({ inFeatures }) => inFeatures);
}

function sumOf(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function factorInputs({ config, kind, modules }: ProgramSpec): ProgramInput[] {
  return adaptedLayers(config, modules).flatMap(({ name, inFeatures, outFeatures, rank, dora }): ProgramInput[] => {
    const shapes = { a: [rank, inFeatures], b: [outFeatures, rank], magnitude: [outFeatures] };
    const known = dora && kind === 'decode';
    const trained = trainedNames(dora && !known).map((each) => ({ name: inputName(name, each), shape: shapes[each] }));
    const rowName = known ? doraFactorsName(name) : weightSquaresName(name);
    const rows = dora ? [{ name: rowName, shape: shapes.magnitude }] : [];
    return [...trained, ...rows].map((input) => ({ ...input, type: 'float32' }));
  });
}

function adaptedLayers(config: ModelConfig, modules: ProgramSpec['modules']) {
  const linears = new Map(adaptableModules(config).map((linear) => [linear.name, linear]));
  return [...modules].map(([name, adapted]) => {
    const linear = linears.get(name);
    if (linear) return { ...linear, ...adapted };
    throw new Error(`the adapter's module ${name} is not a linear layer of this ${config.modelType} model`);
  });
}

/** Returns the names of those arrays of a module that training changes. */
export function trainedNames(dora: boolean): TrainableName[] {
  return dora ? ['a', 'b', 'magnitude'] : ['a', 'b'];
}
