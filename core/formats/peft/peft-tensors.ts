import type { TrainableName } from '../../models/lora/trainable-arrays.ts';
import { shorten } from '../../options/quote.ts';
import { FormatError } from '../errors.ts';
import { requireInFolder, resolveInFolder } from '../folder-files.ts';
import { ADAPTER_HEADER } from '../safetensors/safetensors-header.ts';
import { withSafetensors, type SafetensorsFile } from '../safetensors/safetensors.ts';
import { ADAPTER_WEIGHTS, factorKey, sortKeys, unexpectedKey, type FactorKeys } from './peft-keys.ts';

/** Weights file of an adapter, open for reading, and the file's key for each module's tensors. */
export interface AdapterTensors {
  readonly keys: FactorKeys;
  readonly file: SafetensorsFile;
}

/**
 * Opens the weights of an adapter folder, passes them to `use`, and closes them afterwards.
 * @throws FormatError `pickle_refused`, `missing_file`, an error of {@link sortKeys}, or one about the file's header
 */
export async function withAdapterTensors<T>(folder: string, use: (tensors: AdapterTensors) => Promise<T>): Promise<T> {
  const path = await adapterWeightsPath(folder);
  return withSafetensors(path, (file) => use({ file, keys: sortKeys(file.names) }), ADAPTER_WEIGHTS, ADAPTER_HEADER);
}

/**
 * Reads the values of one tensor.
 * @throws FormatError `missing_tensor`, `unsupported_dtype` or `not_finite`
 */
export async function readTensor(tensors: AdapterTensors, module: string, name: TrainableName): Promise<Float32Array> {
  return (await tensors.file.read(keyOf(tensors, module, name))).data;
}

/**
 * Returns the shape of a tensor.
 * @throws FormatError `missing_tensor`
 */
export function shapeOf(tensors: AdapterTensors, module: string, name: TrainableName): readonly number[] {
  return tensors.file.entry(keyOf(tensors, module, name)).shape;
}

function keyOf({ keys }: AdapterTensors, module: string, name: TrainableName): string {
  return keys.get(module)?.[name] ?? factorKey(module, name);
}

/** Shapes of a module's tensors: A [rank, inFeatures], B [outFeatures, rank] and DoRA's magnitude [outFeatures]. */
export function factorShapes({ rank, inFeatures, outFeatures }: Omit<ExpectedFactors, 'module' | 'rankSource'>) {
  return { a: [rank, inFeatures], b: [outFeatures, rank], magnitude: [outFeatures] } satisfies Record<
    TrainableName,
    number[]
  >;
}

/** Returns the path of the adapter's weights; pickles are refused. */
async function adapterWeightsPath(folder: string): Promise<string> {
  const path = await resolveInFolder(folder, ADAPTER_WEIGHTS);
  if (path !== null) return path;
  if ((await resolveInFolder(folder, 'adapter_model.bin')) === null) return requireInFolder(folder, ADAPTER_WEIGHTS);
  const message =
    'is a pickle, which can run code and is never read: if you trust its source, load it with PEFT and save it as ' +
    `${ADAPTER_WEIGHTS} with save_pretrained(folder, safe_serialization=True)`;
  throw new FormatError({ code: 'pickle_refused', file: 'adapter_model.bin', message });
}

/** Rank and numbers of features that a module must have; they determine the shapes of its tensors. */
interface ExpectedFactors {
  readonly module: string;
  readonly rank: number;
  /** Setting of the config that the rank comes from, for messages: `r = 4`. */
  readonly rankSource: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

interface ExpectedTensors {
  readonly modules: readonly ExpectedFactors[];
  /** Whether the config asks for DoRA, so that every module must also have a magnitude. */
  readonly dora: boolean;
}

/**
 * Checks that a file holds both factors (under DoRA also the magnitude) of each expected module in the right shapes,
 * and nothing else.
 * @param why returns the reason why a module is unexpected, for the message
 * @throws FormatError `missing_tensor`, `unexpected_tensor` or `wrong_shape`
 */
export function checkFactors(
  tensors: AdapterTensors,
  { modules, dora }: ExpectedTensors,
  why: (module: string) => string,
): void {
  const names = new Set(modules.map(({ module }) => module));
  for (const [module, entry] of tensors.keys) {
    const [key = module] = Object.values(entry);
    if (!names.has(module)) throw unexpectedKey(key, why(module));
    if (!dora && entry.magnitude !== undefined) {
      throw unexpectedKey(entry.magnitude, 'use_dora is not true in adapter_config.json');
    }
  }
  for (const factors of modules) checkModule(tensors, factors, dora);
}

/**
 * Checks that a module has all of its tensors.
 * @throws FormatError `missing_tensor` naming the first tensor that the module lacks
 */
export function checkComplete({ keys }: AdapterTensors, module: string, dora: boolean): void {
  const { a, b, magnitude } = keys.get(module) ?? {};
  if (a === undefined || b === undefined) {
    const missing = factorKey(module, a === undefined ? 'a' : 'b');
    const found = a ? 'has lora_A but no lora_B' : b ? 'has lora_B but no lora_A' : 'has neither lora_A nor lora_B';
    const message = `module ${shorten(module)} ${found}: tensor ${shorten(missing)} is missing`;
    throw fault('missing_tensor', missing, message);
  }
  if (!dora || magnitude !== undefined) return;
  const missing = factorKey(module, 'magnitude');
  const found = `module ${shorten(module)} has no magnitude, but use_dora is true`;
  const message = `${found}: tensor ${shorten(missing)} is missing`;
  throw fault('missing_tensor', missing, message);
}

function checkModule(tensors: AdapterTensors, expected: ExpectedFactors, dora: boolean): void {
  checkComplete(tensors, expected.module, dora);
  const { a, b, magnitude } = factorShapes(expected);
  checkShape(tensors, 'a', a, expected);
  checkShape(tensors, 'b', b, expected);
  if (dora) checkMagnitude(tensors, expected.module, magnitude);
}

function checkMagnitude(tensors: AdapterTensors, module: string, shape: readonly number[]): void {
  const found = shapeOf(tensors, module, 'magnitude');
  if (found.length === 1 && found[0] === shape[0]) return;
  const key = factorKey(module, 'magnitude');
  const message = `adapter tensor ${shorten(key)} has shape [${found.join(', ')}], expected [${shape.join(', ')}]`;
  throw fault('wrong_shape', key, message);
}

function checkShape(
  tensors: AdapterTensors,
  name: 'a' | 'b',
  shape: readonly number[],
  { module, rank, rankSource }: ExpectedFactors,
): void {
  const rankAxis = name === 'a' ? 0 : 1;
  const key = factorKey(module, name);
  const found = shapeOf(tensors, module, name);
  if (found.length === 2 && found[0] === shape[0] && found[1] === shape[1]) return;
  const base = `adapter tensor ${shorten(key)} has shape [${found.join(', ')}], expected [${shape.join(', ')}]`;
  const features = 1 - rankAxis;
  let reason = '';
  if (found.length === 2 && found[features] !== shape[features]) {
    const what = name === 'a' ? 'lora_A has' : 'lora_B has';
    const side = name === 'a' ? 'inputs' : 'outputs';
    const difference = `${what} ${found[features]} ${side}, this base has ${shape[features]}`;
    reason = `: adapter was made for another base: ${difference}`;
  } else if (found.length === 2) {
    reason = `: rank ${found[rankAxis]} differs from ${rankSource} in adapter_config.json (expected rank ${rank})`;
  }
  throw fault('wrong_shape', key, base + reason);
}

function fault(code: string, subject: string, message: string): FormatError {
  return new FormatError({ code, file: ADAPTER_WEIGHTS, subject, message });
}
