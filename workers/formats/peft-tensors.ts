import type { TrainableName } from '../models/trainable-arrays.ts';
import { FormatError } from './errors.ts';
import { requireInFolder, resolveInFolder } from './model-folder.ts';
import type { SafetensorsFile } from './safetensors.ts';

export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';

const SUFFIXES: Readonly<Record<TrainableName, string>> = {
  a: 'lora_A.weight',
  b: 'lora_B.weight',
  magnitude: 'lora_magnitude_vector',
};

/** The key under which PEFT stores one of a module's tensors. */
export function factorKey(module: string, name: TrainableName): string {
  return `base_model.model.${module}.${SUFFIXES[name]}`;
}

/** Module and tensor of a key, or null where it is neither a LoRA factor nor a DoRA magnitude. */
export function parseFactorKey(key: string): { module: string; name: TrainableName } | null {
  const [, module, suffix] = /^base_model\.model\.(.+)\.(lora_[AB]\.weight|lora_magnitude_vector)$/.exec(key) ?? [];
  const entry = Object.entries(SUFFIXES).find(([, each]) => each === suffix);
  return module !== undefined && entry ? { module, name: entry[0] as TrainableName } : null;
}

/** Shapes of a module's tensors. */
export function factorShapes({ rank, inFeatures, outFeatures }: Omit<ExpectedFactors, 'module' | 'rankSource'>) {
  return { a: [rank, inFeatures], b: [outFeatures, rank], magnitude: [outFeatures] } satisfies Record<TrainableName, number[]>;
}

/** Path of the adapter's weights; pickles are refused. */
export async function adapterWeightsPath(folder: string): Promise<string> {
  const path = await resolveInFolder(folder, ADAPTER_WEIGHTS);
  if (path !== null) return path;
  if ((await resolveInFolder(folder, 'adapter_model.bin')) === null) return requireInFolder(folder, ADAPTER_WEIGHTS);
  const message = 'is a pickle, which can run code and is never read: save the adapter as adapter_model.safetensors';
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
  file: SafetensorsFile,
  { modules, dora }: ExpectedTensors,
  why: (module: string) => string,
): void {
  const names = new Set(modules.map(({ module }) => module));
  for (const key of file.names) {
    const parsed = parseFactorKey(key);
    const known = parsed !== null && names.has(parsed.module);
    if (known && (dora || parsed.name !== 'magnitude')) continue;
    const reason = known ? 'use_dora is not true in adapter_config.json' : parsed ? why(parsed.module) : kindOf(key);
    throw fault('unexpected_tensor', key, `unexpected key ${key}: ${reason}`);
  }
  for (const factors of modules) checkModule(file, factors, dora);
}

/** All tensors of a module or a clear word on which one is missing. */
export function checkComplete(file: SafetensorsFile, module: string, dora: boolean): void {
  const [a, b] = [factorKey(module, 'a'), factorKey(module, 'b')];
  const [hasA, hasB] = [file.header.tensors.has(a), file.header.tensors.has(b)];
  if (!hasA || !hasB) {
    const missing = hasA ? b : a;
    const found = hasA ? 'has lora_A but no lora_B' : hasB ? 'has lora_B but no lora_A' : 'has neither lora_A nor lora_B';
    throw fault('missing_tensor', missing, `module ${module} ${found}: tensor ${missing} is missing`);
  }
  const magnitude = factorKey(module, 'magnitude');
  if (!dora || file.header.tensors.has(magnitude)) return;
  const message = `module ${module} has no magnitude, but use_dora is true: tensor ${magnitude} is missing`;
  throw fault('missing_tensor', magnitude, message);
}

function checkModule(file: SafetensorsFile, expected: ExpectedFactors, dora: boolean): void {
  checkComplete(file, expected.module, dora);
  const { a, b, magnitude } = factorShapes(expected);
  checkShape(file, factorKey(expected.module, 'a'), a, 0, expected);
  checkShape(file, factorKey(expected.module, 'b'), b, 1, expected);
  if (dora) checkMagnitude(file, factorKey(expected.module, 'magnitude'), magnitude);
}

function checkMagnitude(file: SafetensorsFile, key: string, shape: readonly number[]): void {
  const found = file.entry(key).shape;
  if (found.length === 1 && found[0] === shape[0]) return;
  const message = `adapter tensor ${key} has shape [${found.join(', ')}], expected [${shape.join(', ')}]`;
  throw fault('wrong_shape', key, message);
}

function checkShape(
  file: SafetensorsFile,
  key: string,
  shape: readonly number[],
  rankAxis: 0 | 1,
  { rank, rankSource }: ExpectedFactors,
): void {
  const found = file.entry(key).shape;
  if (found.length === 2 && found[0] === shape[0] && found[1] === shape[1]) return;
  const base = `adapter tensor ${key} has shape [${found.join(', ')}], expected [${shape.join(', ')}]`;
  const features = 1 - rankAxis;
  let reason = '';
  if (found.length === 2 && found[features] !== shape[features]) {
    const what = rankAxis === 0 ? 'lora_A has' : 'lora_B has';
    const side = rankAxis === 0 ? 'inputs' : 'outputs';
    reason = `: adapter was made for another base: ${what} ${found[features]} ${side}, this base has ${shape[features]}`;
  } else if (found.length === 2) {
    reason = `: rank ${found[rankAxis]} differs from ${rankSource} in adapter_config.json (expected rank ${rank})`;
  }
  throw fault('wrong_shape', key, base + reason);
}

function kindOf(key: string): string {
  if (key.includes('lora_magnitude_vector')) return 'expected base_model.model.<module>.lora_magnitude_vector';
  if (key.includes('lora_embedding')) return 'adapted embeddings are not supported';
  if (key.includes('.lora_')) return 'expected base_model.model.<module>.lora_A.weight or lora_B.weight';
  return 'it is no LoRA factor (expected base_model.model.<module>.lora_A.weight or lora_B.weight)';
}

function fault(code: string, subject: string, message: string): FormatError {
  return new FormatError({ code, file: ADAPTER_WEIGHTS, subject, message });
}
