import { FormatError } from './errors.ts';
import { requireInFolder, resolveInFolder } from './model-folder.ts';
import type { SafetensorsFile } from './safetensors.ts';

export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';

export type Factor = 'A' | 'B';

/** The key under which PEFT stores a factor. */
export function factorKey(module: string, factor: Factor): string {
  return `base_model.model.${module}.lora_${factor}.weight`;
}

/** Module and factor of a key, or null where it is no LoRA factor. */
export function parseFactorKey(key: string): { module: string; factor: Factor } | null {
  const match = /^base_model\.model\.(.+)\.lora_([AB])\.weight$/.exec(key);
  return match ? { module: match[1]!, factor: match[2] as Factor } : null;
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

/**
 * Checks that a file holds both factors of each expected module, in shape, and nothing else.
 * @param why explains an unexpected module
 * @throws FormatError `missing_tensor`, `unexpected_tensor` or `wrong_shape`
 */
export function checkFactors(
  file: SafetensorsFile,
  expected: readonly ExpectedFactors[],
  why: (module: string) => string,
): void {
  const modules = new Set(expected.map(({ module }) => module));
  for (const key of file.names) {
    const parsed = parseFactorKey(key);
    if (parsed && modules.has(parsed.module)) continue;
    throw fault('unexpected_tensor', key, `unexpected key ${key}: ${parsed ? why(parsed.module) : kindOf(key)}`);
  }
  for (const factors of expected) checkModule(file, factors);
}

/** Both factors or a clear word on which one is missing. */
export function checkPair(file: SafetensorsFile, module: string): void {
  const [a, b] = [factorKey(module, 'A'), factorKey(module, 'B')];
  const [hasA, hasB] = [file.header.tensors.has(a), file.header.tensors.has(b)];
  if (hasA && hasB) return;
  const missing = hasA ? b : a;
  const found = hasA ? 'has lora_A but no lora_B' : hasB ? 'has lora_B but no lora_A' : 'has neither lora_A nor lora_B';
  throw fault('missing_tensor', missing, `module ${module} ${found}: tensor ${missing} is missing`);
}

function checkModule(file: SafetensorsFile, expected: ExpectedFactors): void {
  checkPair(file, expected.module);
  const { rank, inFeatures, outFeatures } = expected;
  checkShape(file, factorKey(expected.module, 'A'), [rank, inFeatures], 0, expected);
  checkShape(file, factorKey(expected.module, 'B'), [outFeatures, rank], 1, expected);
}

function checkShape(
  file: SafetensorsFile,
  key: string,
  shape: readonly [number, number],
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
  if (key.includes('lora_magnitude_vector')) return 'DoRA magnitudes are not supported';
  if (key.includes('lora_embedding')) return 'adapted embeddings are not supported';
  if (key.includes('.lora_')) return 'expected base_model.model.<module>.lora_A.weight or lora_B.weight';
  return 'it is no LoRA factor (expected base_model.model.<module>.lora_A.weight or lora_B.weight)';
}

function fault(code: string, subject: string, message: string): FormatError {
  return new FormatError({ code, file: ADAPTER_WEIGHTS, subject, message });
}
