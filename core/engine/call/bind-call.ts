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
  /** null computes with the base alone. */
  readonly adapter: Adapter | null;
  /** The tokens: of whole texts, or for `decode` one further token of each row. */
  readonly tokens: Batch | DecodeStep;
  /** Multiplies the gradients; programs without gradients ignore it. Default 1. */
  readonly gradientScale?: number;
  /** Which inputs a program with gradients drops. Default: none. */
  readonly dropout?: Dropout | undefined;
  /** Takes the program with gradients that serves all batches, also for one whose sequences share nothing. Default: false. */
  readonly fewPrograms?: boolean;
}

/** A call as a program takes it. */
export interface BoundCall {
  readonly spec: ProgramSpec;
  /** Data for the program's inputs other than the base's weights, by name. */
  readonly data: ReadonlyMap<string, Float32Array | Int32Array>;
  readonly sizes: ProgramSizes;
  /** [tokens] the row of the program's tokens that computes each of the call's. */
  readonly indices: Int32Array;
}

/** Limits of the memory that a call takes. Default: none. */
export interface CallLimits {
  /** Bytes for activations, which decide what gradients compute again. */
  readonly activationBytes?: number;
  /** Elements of an array of logits, [labels, vocab], which decide in how many blocks losses are computed. */
  readonly mostLogits?: number;
}

/** The programs that need logits only to compute losses from them. */
const OF_LOSSES: ReadonlySet<ProgramKind> = new Set(['labelLosses', 'gradients']);

/** Names a call's arrays as the program's inputs are named, without copying the adapter's, and specifies the program. */
export function bindCall(
  base: BaseModel,
  kind: ProgramKind,
  call: ProgramCall,
  { activationBytes = Infinity, mostLogits = Infinity }: CallLimits = {},
): BoundCall {
  const { adapter, tokens, gradientScale = 1 } = call;
  const { config } = base;
  const dropout = kind === 'gradients' && call.dropout && call.dropout.rate > 0 ? call.dropout : null;
  const batchOptions = { dropping: dropout !== null, mostLogits: OF_LOSSES.has(kind) ? mostLogits : Infinity };
  const bound = 'cache' in tokens ? bindStep(config, tokens) : bindBatch(config, tokens, batchOptions);
  const { data, sizes, blocks, labelBlocks, indices } = bound;
  const repeats = kind === 'gradients' && (sizes.repeats > 0 || (call.fewPrograms === true && dropout === null));
  const adapted = adaptedWidths(adapter, dropout !== null);
  const longest = blocks * sizes.binLength;
  const targets = kind === 'gradients' && 'targets' in tokens ? (tokens.targets?.perLabel ?? 0) : 0;
  const labels = labelBlocks * sizes.labels;
  const callSizes = { ...sizes, longest, places: sizes.bins * longest, labels, targets, mostLogits };
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

/** The product of two random numbers is up to this large, which leaves float32 12 bits of its 24 for the fraction. */
const PHASE_RANGE = 4096;

/** Draws the random numbers that dropout masks are made from (decoder/dropout.ts). */
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

/** Computes ‖W‖² of each row, once for each base and module. */
function weightSquaresData(base: BaseModel, module: string): NamedArrays[number] {
  const known = WEIGHT_SQUARES.get(base) ?? new Map<string, Float32Array>();
  WEIGHT_SQUARES.set(base, known);
  const name = weightSquaresName(module);
  const squares = known.get(name) ?? rowSquares(weightOf(base, `${module}.weight`));
  known.set(name, squares);
  return [name, squares];
}
