import { adaptableModules, type AdaptableModule } from '../models/architecture.ts';
import type { Adapter, LoraConfig, LoraFactors } from '../models/adapter.ts';
import { loraSettings, type LoraModuleSettings } from '../models/lora-config.ts';
import type { ModelConfig } from '../models/model-config.ts';
import type { TrainableName } from '../models/trainable-arrays.ts';
import { FormatError } from './errors.ts';
import { ADAPTER_CONFIG, readAdapterConfig, selectModules, withPatterns, type PeftConfig } from './peft-config.ts';
import { ADAPTER_WEIGHTS, adapterWeightsPath, checkComplete, checkFactors, factorKey, parseFactorKey } from './peft-tensors.ts';
import { withSafetensors, type SafetensorsFile } from './safetensors.ts';

export { readAdapterConfig, type PeftConfig } from './peft-config.ts';
export { adapterSha256, saveAdapter, type SaveAdapterOptions } from './peft-adapter-writer.ts';
export { readAdapterManifest, verifyAdapterFiles, type AdapterManifest } from './adapter-manifest.ts';

/**
 * Loads a PEFT LoRA or DoRA adapter for a base, strictly: every targeted module has both factors in the rank that the
 * config gives it and in the base's shape (and a magnitude under DoRA), there is no other tensor, and all values are finite. Never reads a pickle.
 * @param folder with adapter_config.json and adapter_model.safetensors
 * @returns float32 factors; the config's targets are plain suffixes whatever form the file used
 * @throws FormatError naming file, tensor or field, the value found and the one expected
 */
export async function loadAdapter(folder: string, base: ModelConfig): Promise<Adapter> {
  const peft = await readAdapterConfig(folder);
  const modules = targetedModules(peft, base);
  const settings = settingsOf(peft, modules.map(({ name }) => name));
  return withAdapterWeights(folder, async (file) => {
    checkAgainstBase(file, peft, base, modules, settings);
    const factors = new Map<string, LoraFactors>();
    for (const module of modules) {
      const read = await readFactors(file, module, settings.get(module.name)!);
      factors.set(module.name, peft.useDora ? { ...read, magnitude: await readTensor(file, module.name, 'magnitude') } : read);
    }
    return { config: loraConfig(peft, base, modules), modules: factors };
  });
}

/** What an adapter's files say without their base. */
export interface AdapterDescription {
  readonly config: PeftConfig;
  /** Names of the adapted modules, in the order of the file. */
  readonly modules: readonly string[];
  readonly parameters: number;
}

/**
 * Checks an adapter on its own: config, all tensors of every module, ranks, targets, finite values.
 * @throws FormatError
 */
export async function describeAdapter(folder: string): Promise<AdapterDescription> {
  const config = await readAdapterConfig(folder);
  return withAdapterWeights(folder, async (file) => {
    const modules = [...new Set(file.names.flatMap((key) => parseFactorKey(key)?.module ?? []))];
    const targeted = selectModules(config, modules);
    for (const module of targeted) checkComplete(file, module, config.useDora);
    const settings = settingsOf(config, targeted);
    const expected = targeted.map((module) => ({
      ...expectedRank(config, module, settings),
      inFeatures: file.entry(factorKey(module, 'a')).shape[1] ?? 0,
      outFeatures: file.entry(factorKey(module, 'b')).shape[0] ?? 0,
    }));
    checkFactors(file, { modules: expected, dora: config.useDora }, () => `target_modules of ${ADAPTER_CONFIG} does not name this module`);
    if (modules.length === 0) throw noModules(config, 'the adapter holds no tensor');
    let parameters = 0;
    for (const key of file.names) parameters += (await file.read(key)).data.length;
    return { config, modules, parameters };
  });
}

async function withAdapterWeights<T>(folder: string, use: (file: SafetensorsFile) => Promise<T>): Promise<T> {
  return withSafetensors(await adapterWeightsPath(folder), use, ADAPTER_WEIGHTS);
}

function targetedModules(peft: PeftConfig, base: ModelConfig): AdaptableModule[] {
  const modules = adaptableModules(base);
  const selected = new Set(selectModules(peft, modules.map(({ name }) => name)));
  if (selected.size === 0) throw noModules(peft, 'it names no linear layer of the base');
  return modules.filter(({ name }) => selected.has(name));
}

function settingsOf(peft: PeftConfig, modules: readonly string[]): Map<string, LoraModuleSettings> {
  return withPatterns('rank_pattern or alpha_pattern', () => loraSettings({ ...peft, targetModules: [] }, modules));
}

function expectedRank(peft: PeftConfig, module: string, settings: ReadonlyMap<string, LoraModuleSettings>) {
  const { rank } = settings.get(module)!;
  return { module, rank, rankSource: rank === peft.rank ? `r = ${rank}` : `rank_pattern (${rank} for this module)` };
}

function checkAgainstBase(
  file: SafetensorsFile,
  peft: PeftConfig,
  base: ModelConfig,
  modules: readonly AdaptableModule[],
  settings: ReadonlyMap<string, LoraModuleSettings>,
): void {
  const expected = modules.map((module) => ({ ...module, ...expectedRank(peft, module.name, settings) }));
  const known = new Set(adaptableModules(base).map(({ name }) => name));
  checkFactors(file, { modules: expected, dora: peft.useDora }, (module) => {
    const layer = /^model\.layers\.(\d+)\./.exec(module)?.[1];
    if (layer !== undefined && Number(layer) >= base.numLayers) {
      return `the base has no layer ${layer} (num_hidden_layers is ${base.numLayers})`;
    }
    if (known.has(module)) return `target_modules of ${ADAPTER_CONFIG} does not name module ${module}`;
    return `the base has no linear layer ${module}`;
  });
}

async function readFactors(
  file: SafetensorsFile,
  { name, inFeatures, outFeatures }: AdaptableModule,
  { rank, scaling }: LoraModuleSettings,
): Promise<LoraFactors> {
  const a = await readTensor(file, name, 'a');
  return { rank, inFeatures, outFeatures, scaling, a, b: await readTensor(file, name, 'b') };
}

async function readTensor(file: SafetensorsFile, module: string, name: TrainableName): Promise<Float32Array> {
  return (await file.read(factorKey(module, name))).data;
}

/** Targets as plain suffixes: `q_proj` where every q_proj is adapted, and full names where only some are. */
function loraConfig(peft: PeftConfig, base: ModelConfig, modules: readonly AdaptableModule[]): LoraConfig {
  const { rank, alpha, useRslora, useDora, rankPattern, alphaPattern } = peft;
  const plain = Array.isArray(peft.targetModules) && peft.excludeModules.length === 0 && !peft.layersToTransform;
  const targetModules = plain ? [...peft.targetModules].sort() : suffixesOf(base, modules);
  return { rank, alpha, useRslora, useDora, targetModules, rankPattern, alphaPattern };
}

function suffixesOf(base: ModelConfig, modules: readonly AdaptableModule[]): string[] {
  const count = (list: readonly AdaptableModule[], suffix: string) =>
    list.filter(({ name }) => name.endsWith(`.${suffix}`)).length;
  const all = adaptableModules(base);
  const targets = modules.map(({ name }) => {
    const suffix = name.slice(name.lastIndexOf('.') + 1);
    return count(modules, suffix) === count(all, suffix) ? suffix : name;
  });
  return [...new Set(targets)].sort();
}

function noModules({ targetModules }: PeftConfig, reason: string): FormatError {
  const message = `target_modules is ${JSON.stringify(targetModules)}: ${reason}`;
  return new FormatError({ code: 'invalid_adapter_config', file: ADAPTER_CONFIG, subject: 'target_modules', message });
}
