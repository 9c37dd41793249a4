import type { TrainableName } from '../../models/lora/trainable-arrays.ts';
import { FormatError } from '../errors.ts';
import { requireInFolder, resolveInFolder } from '../hugging-face/model-folder.ts';
import { ADAPTER_WEIGHTS, factorKey, sortKeys, unexpectedKey, type FactorKeys } from './peft-keys.ts';
import { withSafetensors, type SafetensorsFile } from '../safetensors/safetensors.ts';

/** An adapter's opened weights: tensors by module, whatever their keys are. */
export interface AdapterTensors {
  readonly keys: FactorKeys;
  readonly file: SafetensorsFile;
}

/**
 * Opens the weights of an adapter folder for the time of `use`.
 * @throws FormatError `pickle_refused`, `missing_file`, or what {@link sortKeys} and the file's header say
 */
export async function withAdapterTensors<T>(folder: string, use: (tensors: AdapterTensors) => Promise<T>): Promise<T> {
  const path = await adapterWeightsPath(folder);
  return withSafetensors(path, (file) => use({ file, keys: sortKeys(file.names) }), ADAPTER_WEIGHTS);
}

/** Values of one tensor that {@link checkFactors} has found. */
export async function readTensor(
  { file, keys }: AdapterTensors,
  module: string,
  name: TrainableName,
): Promise<Float32Array> {
  return (await file.read(keys.get(module)![name]!)).data;
}

/** Shape of a tensor that is there. */
export function shapeOf({ file, keys }: AdapterTensors, module: string, name: TrainableName): readonly number[] {
  return file.entry(keys.get(module)![name]!).shape;
}

/** Shapes of a module's tensors. */
export function factorShapes({ rank, inFeatures, outFeatures }: Omit<ExpectedFactors, 'module' | 'rankSource'>) {
  return { a: [rank, inFeatures], b: [outFeatures, rank], magnitude: [outFeatures] } satisfies Record<
    TrainableName,
    number[]
  >;
}

/** Path of the adapter's weights; pickles are refused. */
async function adapterWeightsPath(folder: string): Promise<string> {
  const path = await resolveInFolder(folder, ADAPTER_WEIGHTS);
  if (path !== null) return path;
  if ((await resolveInFolder(folder, 'adapter_model.bin')) === null) return requireInFolder(folder, ADAPTER_WEIGHTS);
  const message =
    'is a pickle, which can run code and is never read: load it with PEFT where you trust where it comes from, and save ' +
    `it as ${ADAPTER_WEIGHTS} with save_pretrained(folder, safe_serialization=True)`;
  throw new FormatError({ code: 'pickle_refused', file: 'adapter_model.bin', message });
}

/** Shapes that the two factors of a module must have. */
export interface ExpectedFactors {
  readonly module: string;
  readonly rank: number;
  /** Where the rank comes from, for messages: `r = 4`. */
  readonly rankSource: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** What a whole adapter file must hold. */
export interface ExpectedTensors {
  readonly modules: readonly ExpectedFactors[];
  /** Every module has a magnitude, too. */
  readonly dora: boolean;
}

/**
 * Checks that a file holds both factors of each expected module (under DoRA its magnitude, too), in shape, and nothing
 * else.
 * @param why explains an unexpected module
 * @throws FormatError `missing_tensor`, `unexpected_tensor` or `wrong_shape`
 */
export function checkFactors(
  tensors: AdapterTensors,
  { modules, dora }: ExpectedTensors,
  why: (module: string) => string,
): void {
  const names = new Set(modules.map(({ module }) => module));
  for (const [module, entry] of tensors.keys) {
    const first = Object.values(entry)[0]!;
    if (!names.has(module)) throw unexpectedKey(first, why(module));
    if (!dora && entry.magnitude !== undefined) {
      throw unexpectedKey(entry.magnitude, 'use_dora is not true in adapter_config.json');
    }
  }
  for (const factors of modules) checkModule(tensors, factors, dora);
}

/** All tensors of a module or a clear word on which one is missing. */
export function checkComplete({ keys }: AdapterTensors, module: string, dora: boolean): void {
  const { a, b, magnitude } = keys.get(module) ?? {};
  if (a === undefined || b === undefined) {
    const missing = factorKey(module, a === undefined ? 'a' : 'b');
    const found = a ? 'has lora_A but no lora_B' : b ? 'has lora_B but no lora_A' : 'has neither lora_A nor lora_B';
    throw fault('missing_tensor', missing, `module ${module} ${found}: tensor ${missing} is missing`);
  }
  if (!dora || magnitude !== undefined) return;
  const missing = factorKey(module, 'magnitude');
  throw fault(
    'missing_tensor',
    missing,
    `module ${module} has no magnitude, but use_dora is true: tensor ${missing} is missing`,
  );
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
  const message = `adapter tensor ${key} has shape [${found.join(', ')}], expected [${shape.join(', ')}]`;
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
  const base = `adapter tensor ${key} has shape [${found.join(', ')}], expected [${shape.join(', ')}]`;
  const features = 1 - rankAxis;
  let reason = '';
  if (found.length === 2 && found[features] !== shape[features]) {
    const what = name === 'a' ? 'lora_A has' : 'lora_B has';
    const side = name === 'a' ? 'inputs' : 'outputs';
    reason = `: adapter was made for another base: ${what} ${found[features]} ${side}, this base has ${shape[features]}`;
  } else if (found.length === 2) {
    reason = `: rank ${found[rankAxis]} differs from ${rankSource} in adapter_config.json (expected rank ${rank})`;
  }
  throw fault('wrong_shape', key, base + reason);
}

function fault(code: string, subject: string, message: string): FormatError {
  return new FormatError({ code, file: ADAPTER_WEIGHTS, subject, message });
}
