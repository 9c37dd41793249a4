import { adaptableModules, type AdaptableModule } from '../../models/architecture/architecture.ts';
import type { Adapter, LoraConfig, LoraFactors } from '../../models/lora/adapter.ts';
import { loraSettings, type LoraModuleSettings } from '../../models/lora/lora-config.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { MatchingTime } from '../../models/lora/module-pattern.ts';
import { targetNames } from '../../models/lora/module-targets.ts';
import { quote, shorten } from '../../options/quote.ts';
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
 * Loads a PEFT LoRA or DoRA adapter for a base model. Loading is strict: every targeted module must have both factors
 * (and, under DoRA, a magnitude) in the config's rank and the base's shape, all values must be finite, and other
 * tensors are refused. If the folder has a `readapt.json`, the files must match its checksums. A pickle is never read.
 * @param folder holds adapter_config.json and adapter_model.safetensors
 * @param base config of the base model
 * @returns float32 factors; the target modules are plain name suffixes, whatever form the file used
 * @throws FormatError naming the file, tensor or field, the value found and the value expected
 */
export async function loadAdapter(folder: string, base: ModelConfig): Promise<Adapter> {
  await verifyAdapterFiles(folder);
  const peft = await readAdapterConfig(folder);
  const modules = targetedModules(peft, base, new MatchingTime());
  return withAdapterTensors(folder, async (tensors) => {
    checkAgainstBase(tensors, peft, base, modules);
    const factors = new Map<string, LoraFactors>();
    for (const module of modules) factors.set(module.name, await readFactors(tensors, module, peft.useDora));
    return { config: loraConfig(peft, base, modules), modules: factors };
  });
}

/** Facts about an adapter that follow from its files alone. */
interface AdapterDescription {
  readonly config: PeftConfig;
  /** Names of the adapted modules, in the order of the file. */
  readonly modules: readonly string[];
  /** Number of parameters: the stored values of all tensors together. */
  readonly parameters: number;
  /** Largest rank of any module. */
  readonly largestRank: number;
  /**
   * Whether all keys are spelled as PEFT writes them. Readapt reads other spellings, but hardly any serving engine
   * does.
   */
  readonly hasPeftKeys: boolean;
}

/**
 * Checks an adapter: config, target modules, the ranks and tensors of every module, finite values. Tensors are read in
 * pieces, so that every adapter needs the same memory.
 * @param base config of the base model that the adapter must fit, checked as strictly as by {@link loadAdapter};
 * without it, the adapter is checked alone
 * @throws FormatError naming the file, tensor or field, the value found and the value expected
 */
export async function describeAdapter(folder: string, base?: ModelConfig): Promise<AdapterDescription> {
  await verifyAdapterFiles(folder);
  const config = await readAdapterConfig(folder);
  const time = new MatchingTime();
  const targeted = base && targetedModules(config, base, time);
  return withAdapterTensors(folder, async (tensors) => {
    if (base && targeted) checkAgainstBase(tensors, config, base, targeted);
    const ranks = targeted?.map(({ rank }) => rank) ?? checkAlone(tensors, config, time);
    let parameters = 0;
    for (const key of tensors.file.names) await tensors.file.scan(key, (piece) => void (parameters += piece.length));
    const modules = [...tensors.keys.keys()];
    return { config, modules, parameters, largestRank: Math.max(...ranks), hasPeftKeys: arePeftKeys(tensors.keys) };
  });
}

/**
 * Checks an adapter's files without a base.
 * @returns the rank of each targeted module
 */
function checkAlone(tensors: AdapterTensors, config: PeftConfig, time: MatchingTime): number[] {
  const targeted = selectModules(config, [...tensors.keys.keys()], time);
  for (const module of targeted) checkComplete(tensors, module, config.useDora);
  const expected = [...settingsOf(config, targeted, time)].map(([module, { rank }]) => ({
    ...expectedRank(config, module, rank),
    inFeatures: shapeOf(tensors, module, 'a')[1] ?? 0,
    outFeatures: shapeOf(tensors, module, 'b')[0] ?? 0,
  }));
  checkFactors(
    tensors,
    { modules: expected, dora: config.useDora },
    () => `target_modules of ${ADAPTER_CONFIG} does not name this module`,
  );
  if (expected.length === 0) throw noModules(config, 'the adapter holds no tensor');
  return expected.map(({ rank }) => rank);
}

/**
 * Returns the config of an adapter and the base's modules that it targets, with their ranks and alphas. No tensor is
 * read.
 * @throws FormatError
 */
export async function adaptedModules(folder: string, base: ModelConfig) {
  const config = await readAdapterConfig(folder);
  return { config, modules: targetedModules(config, base, new MatchingTime()) };
}

interface TargetedModule extends AdaptableModule, LoraModuleSettings {}

/** Returns the base's modules that the adapter targets, in the base's order. */
function targetedModules(peft: PeftConfig, base: ModelConfig, time: MatchingTime): TargetedModule[] {
  const modules = adaptableModules(base);
  const names = modules.map(({ name }) => name);
  const settings = settingsOf(peft, selectModules(peft, names, time), time);
  if (settings.size === 0) throw noModules(peft, 'it names no linear layer of the base');
  return modules.flatMap((module) => {
    const own = settings.get(module.name);
    return own ? [{ ...module, ...own }] : [];
  });
}

function settingsOf(peft: PeftConfig, modules: readonly string[], time: MatchingTime): Map<string, LoraModuleSettings> {
  const config = { ...peft, targetModules: [] };
  return withPatterns('rank_pattern or alpha_pattern', () => loraSettings(config, modules, time));
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
      return `the base has no layer ${shorten(layer)} (num_hidden_layers is ${base.numLayers})`;
    }
    if (known.has(module)) return `target_modules of ${ADAPTER_CONFIG} does not name module ${shorten(module)}`;
    return `the base has no linear layer ${shorten(module)}`;
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
 * Converts the PEFT config of an adapter for use with one base model. The target modules become a list of plain names,
 * as short as possible, that selects the adapted modules of the base. Names that match no module of the base, which
 * PEFT tolerates, are left out.
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
  const message = `target_modules is ${quote(targetModules)}: ${reason}`;
  return new FormatError({ code: 'invalid_adapter_config', file: ADAPTER_CONFIG, subject: 'target_modules', message });
}
