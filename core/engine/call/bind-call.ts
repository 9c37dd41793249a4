import { rowSquares } from '../../linalg/row-squares.ts';
import { weightOf, type BaseModel } from '../../models/base-model.ts';
import type { Adapter, LoraFactors } from '../../models/lora/adapter.ts';
import { adaptedWidths, recomputeWithin } from '../memory/activation-memory.ts';
import { trainableArrays } from '../../models/lora/trainable-arrays.ts';
import { Random } from '../../statistics/random.ts';
import {
  doraFactorsName,
  inputName,
  inputWidths,
  programSpec,
  weightSquaresName,
  type ProgramKind,
  type ProgramSizes,
  type ProgramSpec,
} from '../decoder/program-spec.ts';
import type { Batch, DecodeStep, Dropout } from '../runtime.ts';
import { bindBatch, bindStep, type NamedArrays } from './bind-batch.ts';

export interface ProgramCall {
  /** Adapter to apply; null computes with the base alone. */
  readonly adapter: Adapter | null;
  /** Tokens of the call: whole texts or, for `decode`, one further token of each cached text. */
  readonly tokens: Batch | DecodeStep;
  /** Number that all gradients are multiplied by; programs without gradients ignore it. Default 1. */
  readonly gradientScale?: number;
  /** Rate and seed of the dropout in a program with gradients. Default: no dropout. */
  readonly dropout?: Dropout | undefined;
  /**
   * Whether batches without shared beginnings also use the program with gradients that supports shared beginnings. This
   * one program then serves all batches. Default: false.
   */
  readonly fewPrograms?: boolean;
}

/** One call of a program: the program's specification, and arrays for its inputs. */
export interface BoundCall {
  readonly spec: ProgramSpec;
  /** Array for each of the program's inputs except the base's weights, by the input's name. */
  readonly data: ReadonlyMap<string, Float32Array | Int32Array>;
  readonly sizes: ProgramSizes;
  /**
   * Index, for each token of the call, of the program's token that computes it, [tokens]. Tokens with the same text up
   * to and including them share one of the program's tokens.
   */
  readonly indices: Int32Array;
}

/** Memory limits of a call. Default: none. */
export interface CallLimits {
  /** Memory limit for activations, in bytes. It decides which values the backward pass computes again. */
  readonly activationBytes?: number;
  /**
   * Largest number of elements that one array of logits, [labels, vocab], may have. It determines the number of label
   * blocks.
   */
  readonly maxLogits?: number;
}

/** Kinds of programs that compute logits only on the way to losses. */
const OF_LOSSES: ReadonlySet<ProgramKind> = new Set(['labelLosses', 'gradients']);

/**
 * Makes the specification of the program that a call needs, and maps the call's arrays to the program's inputs. The
 * adapter's arrays are not copied.
 */
export function bindCall(
  base: BaseModel,
  kind: ProgramKind,
  call: ProgramCall,
  { activationBytes = Infinity, maxLogits = Infinity }: CallLimits = {},
): BoundCall {
  const { adapter, tokens, gradientScale = 1 } = call;
  const { config } = base;
  const dropout = kind === 'gradients' && call.dropout && call.dropout.rate > 0 ? call.dropout : null;
  const batchOptions = { dropping: dropout !== null, maxLogits: OF_LOSSES.has(kind) ? maxLogits : Infinity };
  const bound = 'cache' in tokens ? bindStep(config, tokens) : bindBatch(config, tokens, batchOptions);
  const { data, sizes, blocks, labelBlocks, indices } = bound;
  const repeats = kind === 'gradients' && (sizes.repeats > 0 || (call.fewPrograms === true && dropout === null));
  const adapted = adaptedWidths(adapter, dropout !== null);
  const longest = blocks * sizes.binLength;
  const targets = kind === 'gradients' && 'targets' in tokens ? (tokens.targets?.perLabel ?? 0) : 0;
  const labels = labelBlocks * sizes.labels;
  const callSizes = { ...sizes, longest, places: sizes.bins * longest, labels, targets, maxLogits };
  const recompute = kind === 'gradients' ? recomputeWithin(activationBytes, { config, adapted }, callSizes) : 'cheap';
  const options = { dropout: dropout !== null, repeats, attentionBlocks: blocks, labelBlocks, targets, recompute };
  const spec = programSpec({ kind, config, adapter, ...options });
  const factors = [...(adapter?.modules ?? [])];
  const arrays: NamedArrays = [
    ...factors.flatMap(([module, arrays]) => factorData(module, arrays)),
    ...('cache' in tokens ? doraData(tokens) : weightSquares(base, factors)),
    ['scalings', Float32Array.from(factors, ([, { scaling }]) => scaling)],
    ...data,
    ['gradient_scale', Float32Array.of(gradientScale)],
    ...(dropout ? dropoutData(dropout, sizes.tokens, inputWidths(config, spec.modules)) : []),
  ];
  return { spec, data: new Map(arrays), sizes, indices };
}

/**
 * Upper bound of the random numbers that dropout draws for tokens. Each is multiplied by a feature's random number,
 * from 0 to 1, and dropout uses the fractional part of the product. The whole part has up to 12 bits, which leaves 12
 * of float32's 24 bits for the fractional part.
 */
const PHASE_RANGE = 4096;

/** Draws the random numbers that determine the dropout masks, as decoder/dropout.ts explains. */
function dropoutData({ rate, seed }: Dropout, tokens: number, widths: readonly number[]): NamedArrays {
  const random = Random.fromSeed(seed);
  const features = widths.reduce((total, width) => total + width, 0);
  return [
    ['dropout_rate', Float32Array.of(rate)],
    ['dropout_tokens', Float32Array.from({ length: tokens }, () => PHASE_RANGE * random.uniform())],
    ['dropout_features', Float32Array.from({ length: features }, () => random.uniform())],
  ];
}

function doraData({ doraFactors }: DecodeStep): NamedArrays {
  return [...doraFactors].map(([module, factors]) => [doraFactorsName(module), factors]);
}

function weightSquares(base: BaseModel, factors: readonly (readonly [string, LoraFactors])[]): NamedArrays {
  return factors.flatMap(([module, { magnitude }]) => (magnitude ? [weightSquaresData(base, module)] : []));
}

function factorData(module: string, factors: LoraFactors): NamedArrays {
  return trainableArrays(factors).map(([name, array]) => [inputName(module, name), array]);
}

const WEIGHT_SQUARES = new WeakMap<BaseModel, Map<string, Float32Array>>();

/**
 * Returns the name and the array of the input that holds ‖W‖² for each row of a module's weight W. The array is
 * computed once for each base and module.
 */
function weightSquaresData(base: BaseModel, module: string): NamedArrays[number] {
  const known = WEIGHT_SQUARES.get(base) ?? new Map<string, Float32Array>();
  WEIGHT_SQUARES.set(base, known);
  const name = weightSquaresName(module);
  const squares = known.get(name) ?? rowSquares(weightOf(base, `${module}.weight`));
  known.set(name, squares);
  return [name, squares];
}
