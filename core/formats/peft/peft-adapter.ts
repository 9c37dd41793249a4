import { adaptableModules, type AdaptableModule } from '../../models/architecture/architecture.ts';
import type { Adapter, LoraConfig, LoraFactors } from '../../models/lora/adapter.ts';
import { loraSettings, type LoraModuleSettings } from '../../models/lora/lora-config.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { targetNames } from '../../models/lora/module-targets.ts';
import { verifyAdapterFiles } from './adapter-manifest.ts';
import { FormatError } from '../errors.ts';
import { ADAPTER_CONFIG, readAdapterConfig, selectModules, withPatterns, type PeftConfig } from './peft-config.ts';
import { arePeftKeys } from './peft-keys.ts';
import {
  checkComplete,
  checkFactors,
  readTensor,
  shapeOf,
  withAdapterTensors,
  type AdapterTensors,
} from './peft-tensors.ts';

/**
 * Loads a PEFT LoRA or DoRA adapter for a base model. Loading is strict: every targeted module must have both factors (and,
 * under DoRA, a magnitude) in the rank that the config gives it and in the base's shape, all values must be finite, and no
 * other tensor may be there. If `readapt.json` lies beside the files, they must match its checksums. A pickle is never
 * read.
 * @param folder with adapter_config.json and adapter_model.safetensors
 * @param base config of the base model
 * @returns float32 factors; the target modules are plain name suffixes, whatever form the file used
 * @throws FormatError naming the file, tensor or field, the value found and the value expected
 */
export async function loadAdapter(folder: string, base: ModelConfig): Promise<Adapter> {
  await verifyAdapterFiles(folder);
  const peft = await readAdapterConfig(folder);
  const modules = targetedModules(peft, base);
  return withAdapterTensors(folder, async (tensors) => {
    checkAgainstBase(tensors, peft, base, modules);
    const factors = new Map<string, LoraFactors>();
    for (const module of modules) factors.set(module.name, await readFactors(tensors, module, peft.useDora));
    return { config: loraConfig(peft, base, modules), modules: factors };
  });
}

/** What the files of an adapter say without its base model. */
interface AdapterDescription {
  readonly config: PeftConfig;
  /** Names of the adapted modules, in the order of the file. */
  readonly modules: readonly string[];
  /** Number of stored values of all tensors. */
  readonly parameters: number;
  /** Largest rank of a module. */
  readonly largestRank: number;
  /** Whether all keys are spelled as PEFT writes them. Readapt reads other spellings, but hardly any serving engine does. */
  readonly hasPeftKeys: boolean;
}

/**
 * Checks an adapter without its base model: config, target modules, the ranks and tensors of every module, finite values.
 * @throws FormatError naming the file, tensor or field, the value found and the value expected
 */
export async function describeAdapter(folder: string): Promise<AdapterDescription> {
  await verifyAdapterFiles(folder);
  const config = await readAdapterConfig(folder);
  return withAdapterTensors(folder, async (tensors) => {
    const modules = [...tensors.keys.keys()];
    const targeted = selectModules(config, modules);
    for (const module of targeted) checkComplete(tensors, module, config.useDora);
    const expected = [...settingsOf(config, targeted)].map(([module, { rank }]) => ({
      ...expectedRank(config, module, rank),
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
    return { config, modules, parameters, largestRank, hasPeftKeys: arePeftKeys(tensors.keys) };
  });
}

interface TargetedModule extends AdaptableModule, LoraModuleSettings {}

/** The base's modules that the adapter targets, in the base's order. */
function targetedModules(peft: PeftConfig, base: ModelConfig): TargetedModule[] {
  const modules = adaptableModules(base);
  const names = modules.map(({ name }) => name);
  const settings = settingsOf(peft, selectModules(peft, names));
  if (settings.size === 0) throw noModules(peft, 'it names no linear layer of the base');
  return modules.flatMap((module) => {
    const own = settings.get(module.name);
    return own ? [{ ...module, ...own }] : [];
  });
}

function settingsOf(peft: PeftConfig, modules: readonly string[]): Map<string, LoraModuleSettings> {
  return withPatterns('rank_pattern or alpha_pattern', () => loraSettings({ ...peft, targetModules: [] }, modules));
}

function expectedRank(peft: PeftConfig, module: string, rank: number) {
  return { module, rank, rankSource: rank === peft.rank ? `r = ${rank}` : `rank_pattern (${rank} for this module)` };
}

function checkAgainstBase(
  tensors: AdapterTensors,
  peft: PeftConfig,
  base: ModelConfig,
  modules: readonly TargetedModule[],
): void {
  const expected = modules.map((module) => ({ ...module, ...expectedRank(peft, module.name, module.rank) }));
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

async function readFactors(tensors: AdapterTensors, module: TargetedModule, useDora: boolean): Promise<LoraFactors> {
  const { name, inFeatures, outFeatures, rank, scaling } = module;
  const a = await readTensor(tensors, name, 'a');
  const b = await readTensor(tensors, name, 'b');
  const factors = { rank, inFeatures, outFeatures, scaling, a, b };
  return useDora ? { ...factors, magnitude: await readTensor(tensors, name, 'magnitude') } : factors;
}

/**
 * The adapter's config with its target modules as the fewest plain names that select the adapted modules. Names that match
 * no module of the base, which PEFT tolerates, are left out.
 */
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
