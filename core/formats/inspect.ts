import type { ModelConfig } from '../models/config/model-config.ts';
import { FormatError } from './errors.ts';
import { resolveInFolder } from './folder-files.ts';
import { describeBaseModel } from './hugging-face/hugging-face-model.ts';
import { checkModelFiles } from './hugging-face/model-weights.ts';
import { readAdapterManifest } from './peft/adapter-manifest.ts';
import { adapterSha256 } from './peft/peft-adapter-writer.ts';
import { describeAdapter, loadAdapter } from './peft/peft-adapter.ts';

interface BaseModelInspection {
  readonly kind: 'base_model';
  /** Architecture of the base: `model_type` of its config. */
  readonly architecture: string;
  readonly parameters: number;
  readonly fingerprint: string;
  readonly dtypes: readonly string[];
  readonly config: ModelConfig;
}

interface AdapterInspection {
  readonly kind: 'adapter';
  readonly rank: number;
  /** Largest rank of a module. A server must allow it (vLLM's `--max-lora-rank`). */
  readonly largestRank: number;
  readonly alpha: number;
  readonly useRslora: boolean;
  readonly useDora: boolean;
  /** PEFT's `target_modules` as in the file: names, a regular expression or `all-linear`. */
  readonly targets: readonly string[] | string;
  /** Number of modules that the adapter changes. */
  readonly modules: number;
  readonly parameters: number;
  /**
   * Whether the file spells all tensor names as PEFT does. Readapt reads other spellings, but hardly any server does.
   */
  readonly hasPeftKeys: boolean;
  readonly baseModelName: string | null;
  /** Fingerprint of the base that the adapter was made for, from `readapt.json`; null without such a file. */
  readonly baseFingerprint: string | null;
  /** SHA-256 of the adapter's scalings, shapes and factors; null if it was checked without a base. */
  readonly fingerprint: string | null;
  /** `model_type` of the base that the adapter was checked against; null if it was checked without one. */
  readonly architecture: string | null;
}

export type Inspection = BaseModelInspection | AdapterInspection;

/**
 * Checks the folder of a base model or adapter as strictly as loading it would, and describes its content.
 * @param base folder of the base model that an adapter must fit; without it, the adapter is checked alone
 * @throws FormatError naming the file, tensor or field, the value found and the value expected
 */
export async function inspectFolder(folder: string, base?: string): Promise<Inspection> {
  if ((await resolveInFolder(folder, 'adapter_config.json')) !== null) {
    return base === undefined ? inspectAdapter(folder) : inspectAdapterOn(folder, base);
  }
  if (base !== undefined) {
    throw new FormatError({ code: 'missing_file', file: 'adapter_config.json', message: `is missing from ${folder}` });
  }
  if ((await resolveInFolder(folder, 'config.json')) !== null) return inspectBaseModel(folder);
  const message = 'holds neither config.json (a base model) nor adapter_config.json (an adapter)';
  throw new FormatError({ code: 'missing_file', file: folder, message });
}

async function inspectBaseModel(folder: string): Promise<BaseModelInspection> {
  const { config, fingerprint, parameters, dtypes } = await describeBaseModel(folder);
  return { kind: 'base_model', architecture: config.modelType, parameters, fingerprint, dtypes, config };
}

async function inspectAdapter(folder: string): Promise<AdapterInspection> {
  return { ...(await adapterFields(folder)), fingerprint: null, architecture: null };
}

/** Checks an adapter against the names and shapes of a base, without reading the base's values. */
async function inspectAdapterOn(folder: string, baseFolder: string): Promise<AdapterInspection> {
  const config = await checkModelFiles(baseFolder);
  const adapter = await loadAdapter(folder, config);
  return { ...(await adapterFields(folder)), fingerprint: adapterSha256(adapter), architecture: config.modelType };
}

async function adapterFields(folder: string) {
  const { config, modules, parameters, largestRank, hasPeftKeys } = await describeAdapter(folder);
  const { rank, alpha, useRslora, useDora, targetModules: targets, baseModelName } = config;
  const baseFingerprint = (await readAdapterManifest(folder))?.baseFingerprint ?? null;
  return {
    kind: 'adapter' as const,
    rank,
    largestRank,
    alpha,
    useRslora,
    useDora,
    targets,
    modules: modules.length,
    parameters,
    hasPeftKeys,
    baseModelName,
    baseFingerprint,
  };
}
