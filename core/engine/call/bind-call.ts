import type { Adapter, LoraFactors, TrainableArrays } from '../../models/lora/adapter.ts';
import type { BaseModel } from '../../models/base-model.ts';
import {
  anglesName,
  gradientName,
  inputWidths,
  inputName,
  weightSquaresName,
  type ProgramKind,
  type ProgramSizes,
  type ProgramSpec,
} from '../decoder/program-spec.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { LAYER_TYPES, turnsByLength } from '../../models/config/rope.ts';
import { rotaryAngles } from '../../models/config/rotary-angles.ts';
import { rowSquares } from '../../linalg/row-squares.ts';
import { mapTrainable, trainableArrays } from '../../models/lora/trainable-arrays.ts';
import { Random } from '../../statistics/random.ts';
import { packIntoBins, positionsOf } from './attention-bins.ts';
import type { Batch, Dropout, GradientResult } from '../runtime.ts';
import { repeatedTokens, shareNothing, sharePrefixes, sharesOf } from './shared-prefixes.ts';

/** Data for a program's inputs other than the base's weights, by name. */
export type InputData = ReadonlyMap<string, Float32Array | Int32Array>;

/** Equal for calls on one base that can share a compiled program: those of adapters with equal ranks, DoRA among themselves. */
export function programKey({ kind, modules, dropout, repeats }: ProgramSpec): string {
  const adapted = [...modules].map(([module, { rank, dora }]) => `${module}:${rank}${dora ? ':dora' : ''}`).join();
  return [kind, ...(dropout ? ['dropout'] : []), ...(repeats ? ['repeats'] : []), adapted].join('|');
}

export interface ProgramCall {
  readonly adapter: Adapter | null;
  readonly batch: Batch;
  /** Of no meaning to programs without gradients. */
  readonly gradientScale: number;
  /** Of programs with gradients. */
  readonly dropout?: Dropout | undefined;
}

/** A call as a program takes it. */
export interface BoundCall {
  readonly spec: ProgramSpec;
  readonly data: InputData;
  readonly sizes: ProgramSizes;
}

/** Factors, scalings and gradient scale, the arrays themselves, and the batch; and what the program is specialised to. */
export function bindCall(
  base: BaseModel,
  kind: ProgramKind,
  { adapter, batch, gradientScale, dropout }: ProgramCall,
): BoundCall {
  const modules = [...(adapter?.modules ?? [])];
  const dropping = kind === 'gradients' && dropout !== undefined && dropout.rate > 0;
  const { batchData, sizes, shared } = bindBatch(base.config, batch, dropping);
  const adapted = modules.map(
    ([module, { rank, magnitude }]) => [module, { rank, dora: magnitude !== undefined }] as const,
  );
  const spec = {
    config: base.config,
    kind,
    modules: new Map(adapted),
    dropout: dropping,
    repeats: shared && kind === 'gradients',
  };
  const data = new Map<string, Float32Array | Int32Array>([
    ...modules.flatMap(([module, factors]) => factorData(module, factors)),
    ...modules.flatMap(([module, { magnitude }]) => (magnitude ? [weightSquaresData(base, module)] : [])),
    ['scalings', Float32Array.from(modules, ([, factors]) => factors.scaling)],
    ...batchData,
    ['gradient_scale', Float32Array.of(gradientScale)],
    ...(dropping ? dropoutData(dropout, sizes.tokens, inputWidths(base.config, spec.modules)) : []),
  ]);
  return { spec, data, sizes };
}

/** What sequences have in common at their beginning is computed once, but where each drops inputs of its own. */
function bindBatch(config: ModelConfig, batch: Batch, dropping: boolean) {
  const tokens = batch.inputIds.length;
  const alone = turnsByLength(config) || dropping;
  const { representatives, indices } = alone ? shareNothing(batch) : sharePrefixes(batch, config.vocabSize);
  const { tokenPlaces, binTokens, binSequences, bins, binLength } = packIntoBins(batch.sequenceLengths);
  const repeats = repeatedTokens({ representatives, indices });
  const batchData: [string, Float32Array | Int32Array][] = [
    ['input_ids', rowsOf(batch.inputIds, representatives)],
    ['positions', rowsOf(positionsOf(batch.sequenceLengths), representatives)],
    ...LAYER_TYPES.map((type): [string, Float32Array] => {
      return [anglesName(config, type), rowsOf(rotaryAngles(config, batch, type), representatives, tokens)];
    }),
    ['bin_tokens', binTokens.map((token) => indices[token]!)],
    ['bin_sequences', binSequences],
    ['token_places', rowsOf(tokenPlaces, representatives)],
    ['repeat_tokens', repeats.map((token) => indices[token]!)],
    ['repeat_places', repeats.map((token) => tokenPlaces[token]!)],
    ['token_shares', sharesOf({ representatives, indices })],
    ['label_positions', batch.labelPositions.map((position) => indices[position]!)],
    ['label_ids', batch.labelIds],
  ];
  const labels = batch.labelPositions.length;
  const sizes = { bins, binLength, labels, tokens: representatives.length, repeats: repeats.length };
  return { batchData, sizes, shared: repeats.length > 0 };
}

/** Rows of an array [rows, n] by their numbers; the array itself where they are all. */
function rowsOf<T extends Float32Array | Int32Array>(values: T, rows: Int32Array, of = values.length): T {
  if (rows.length === of) return values;
  const width = values.length / of;
  const picked = values.slice(0, rows.length * width) as T;
  rows.forEach((row, index) => picked.set(values.subarray(row * width, (row + 1) * width), index * width));
  return picked;
}

/** Products of the two have up to {@link PHASE_RANGE} whole parts, of which float32 leaves 12 bits to the fraction. */
const PHASE_RANGE = 4096;

/** Random numbers from which masks are made (models/decoder/dropout.ts). */
function dropoutData({ rate, seed }: Dropout, tokens: number, widths: readonly number[]): [string, Float32Array][] {
  const random = Random.fromSeed(seed);
  const features = widths.reduce((total, width) => total + width, 0);
  return [
    ['dropout_rate', Float32Array.of(rate)],
    ['dropout_tokens', Float32Array.from({ length: tokens }, () => PHASE_RANGE * random.uniform())],
    ['dropout_features', Float32Array.from({ length: features }, () => random.uniform())],
  ];
}

function factorData(module: string, factors: LoraFactors): [string, Float32Array][] {
  return trainableArrays(factors).map(([name, array]) => [inputName(module, name), array]);
}

const WEIGHT_SQUARES = new WeakMap<BaseModel, Map<string, Float32Array>>();

/** ‖W‖² of each row, computed once for a base and module. */
function weightSquaresData(base: BaseModel, module: string): [string, Float32Array] {
  const known = WEIGHT_SQUARES.get(base) ?? new Map<string, Float32Array>();
  WEIGHT_SQUARES.set(base, known);
  const name = weightSquaresName(module);
  const squares = known.get(name) ?? rowSquares(base.weights.get(`${module}.weight`)!);
  known.set(name, squares);
  return [name, squares];
}

/** A `gradients` program's outputs as the runtime's result. */
export function gradientResult(adapter: Adapter, output: (name: string) => Float32Array): GradientResult {
  const gradients = [...adapter.modules].map(([module, factors]): [string, TrainableArrays] => {
    return [module, mapTrainable(factors, (_, name) => output(gradientName(module, name)))];
  });
  return { lossSum: output('loss_sum')[0]!, gradients: new Map(gradients) };
}

/**
 * Refuses a call whose arrays do not fit together or whose ids lie outside the base's vocabulary: neither runtime
 * would report them clearly.
 * @throws RangeError naming the field, the value found and what was expected
 */
export function checkCall(base: BaseModel, adapter: Adapter | null, batch: Batch): void {
  const { sequenceLengths, textLengths, labelPositions, labelIds, inputIds } = batch;
  if (labelPositions.length === 0) throw new RangeError('the batch has no label positions, expected at least one');
  const empty = sequenceLengths.findIndex((length) => length < 1);
  if (empty !== -1) throw new RangeError(`batch.sequenceLengths holds ${sequenceLengths[empty]}, expected 1 or more`);
  expectLength(
    'inputIds',
    inputIds.length,
    sequenceLengths.reduce((total, length) => total + length, 0),
  );
  expectLength('textLengths', (textLengths ?? sequenceLengths).length, sequenceLengths.length);
  expectLength('labelIds', labelIds.length, labelPositions.length);
  expectBelow('inputIds', inputIds, base.config.vocabSize);
  expectBelow('labelIds', labelIds, base.config.vocabSize);
  expectBelow('labelPositions', labelPositions, inputIds.length);
  if (adapter?.modules.size === 0) throw new RangeError('the adapter has no modules, expected at least one');
}

function expectLength(name: string, found: number, expected: number): void {
  if (found !== expected) throw new RangeError(`batch.${name} has ${found} elements, expected ${expected}`);
}

function expectBelow(name: string, values: Int32Array, limit: number): void {
  const wrong = values.find((value) => value < 0 || value >= limit);
  if (wrong !== undefined) throw new RangeError(`batch.${name} holds ${wrong}, expected 0 to ${limit - 1}`);
}
