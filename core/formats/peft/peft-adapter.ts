import { adaptableModules, type AdaptableModule } from '../../models/architecture/architecture.ts';
import type { Adapter, LoraConfig, LoraFactors } from '../../models/lora/adapter.ts';
import { loraSettings, type LoraModuleSettings } from '../../models/lora/lora-config.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { targetNames } from '../../models/lora/module-targets.ts';
import { verifyAdapterFiles } from './adapter-manifest.ts';
import { FormatError } from '../errors.ts';
import { ADAPTER_CONFIG, readAdapterConfig, selectModules, withPatterns, type PeftConfig } from './peft-config.ts';
import { areSpeltAsPeft } from './peft-keys.ts';
import {
  checkComplete,
  checkFactors,
  readTensor,
  shapeOf,
  withAdapterTensors,
  type AdapterTensors,
} from './peft-tensors.ts';

export { readAdapterConfig, type PeftConfig } from './peft-config.ts';
export { adapterSha256, saveAdapter, type SaveAdapterOptions } from './peft-adapter-writer.ts';
export { readAdapterManifest, verifyAdapterFiles, type AdapterManifest } from './adapter-manifest.ts';

/**
 * Loads a PEFT LoRA or DoRA adapter for a base, strictly: every targeted module has both factors in the rank that the
 * config gives it and in the base's shape (and a magnitude under DoRA), there is no other tensor, and all values are
 * finite. The files must be those that a `readapt.json` beside them was written for. Never reads a pickle.
 * @param folder with adapter_config.json and adapter_model.safetensors
 * @returns float32 factors; the config's targets are plain suffixes whatever form the file used
 * @throws FormatError naming file, tensor or field, the value found and the one expected
 */
export async function loadAdapter(folder: string, base: ModelConfig): Promise<Adapter> {
  await verifyAdapterFiles(folder);
  const peft = await readAdapterConfig(folder);
  const modules = targetedModules(peft, base);
  const settings = settingsOf(
    peft,
    modules.map(({ name }) => name),
  );
  return withAdapterTensors(folder, async (tensors) => {
    checkAgainstBase(tensors, peft, base, modules, settings);
    const factors = new Map<string, LoraFactors>();
    for (const module of modules) {
      const read = await readFactors(tensors, module, settings.get(module.name)!);
      factors.set(
        module.name,
        peft.useDora ? { ...read, magnitude: await readTensor(tensors, module.name, 'magnitude') } : read,
      );
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
  /** Largest rank of a module. */
  readonly largestRank: number;
  /** Keys are spelt as PEFT writes them; other spellings load here and in no serving engine. */
  readonly speltAsPeft: boolean;
}

/**
 * Checks an adapter on its own: config, all tensors of every module, ranks, targets, finite values.
 * @throws FormatError
 */
export async function describeAdapter(folder: string): Promise<AdapterDescription> {
  await verifyAdapterFiles(folder);
  const config = await readAdapterConfig(folder);
  return withAdapterTensors(folder, async (tensors) => {
    const modules = [...tensors.keys.keys()];
    const targeted = selectModules(config, modules);
    for (const module of targeted) checkComplete(tensors, module, config.useDora);
    const settings = settingsOf(config, targeted);
    const expected = targeted.map((module) => ({
      ...expectedRank(config, module, settings),
      inFeatures: shapeOf(tensors, module, 'a')[1] ?? 0,
      outFeatures: shapeOf(tensors, module, 'b')[0] ?? 0,
    }));
    checkFactors(
      tensors,
      { modules: expected, dora: config.useDora },
      () => `target_modules of ${ADAPTER_CONFIG} does not name this module`,
    );
    if (modules.length === 0) throw noModules(config, 'the adapter holds no tensor');
    let parameters = 0;
    for (const key of tensors.file.names) parameters += (await tensors.file.read(key)).data.length;
    const largestRank = Math.max(...expected.map(({ rank }) => rank));
    return { config, modules, parameters, largestRank, speltAsPeft: areSpeltAsPeft(tensors.keys) };
  });
}

function targetedModules(peft: PeftConfig, base: ModelConfig): AdaptableModule[] {
  const modules = adaptableModules(base);
  const selected = new Set(
    selectModules(
      peft,
      modules.map(({ name }) => name),
    ),
  );
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
  tensors: AdapterTensors,
  peft: PeftConfig,
  base: ModelConfig,
  modules: readonly AdaptableModule[],
  settings: ReadonlyMap<string, LoraModuleSettings>,
): void {
  const expected = modules.map((module) => ({ ...module, ...expectedRank(peft, module.name, settings) }));
  const known = new Set(adaptableModules(base).map(({ name }) => name));
  checkFactors(tensors, { modules: expected, dora: peft.useDora }, (module) => {
    const layer = /^model\.layers\.(\d+)\./.exec(module)?.[1];
    if (layer !== undefined && Number(layer) >= base.numLayers) {
      return `the base has no layer ${layer} (num_hidden_layers is ${base.numLayers})`;
    }
    if (known.has(module)) return `target_modules of ${ADAPTER_CONFIG} does not name module ${module}`;
    return `the base has no linear layer ${module}`;
  });
}

async function readFactors(
  tensors: AdapterTensors,
  { name, inFeatures, outFeatures }: AdaptableModule,
  { rank, scaling }: LoraModuleSettings,
): Promise<LoraFactors> {
  const a = await readTensor(tensors, name, 'a');
  return { rank, inFeatures, outFeatures, scaling, a, b: await readTensor(tensors, name, 'b') };
}

/** Targets as plain names, as few as there are: without those that the base does not have, which PEFT lets pass. */
function loraConfig(peft: PeftConfig, base: ModelConfig, modules: readonly AdaptableModule[]): LoraConfig {
  const { rank, alpha, useRslora, useDora, dropout, rankPattern, alphaPattern } = peft;
  const targetModules = targetNames(
    base,
    modules.map(({ name }) => name),
  );
  return { rank, alpha, useRslora, useDora, dropout, targetModules, rankPattern, alphaPattern };
}

function noModules({ targetModules }: PeftConfig, reason: string): FormatError {
  const message = `target_modules is ${JSON.stringify(targetModules)}: ${reason}`;
  return new FormatError({ code: 'invalid_adapter_config', file: ADAPTER_CONFIG, subject: 'target_modules', message });
}
