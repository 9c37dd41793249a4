import type { ModelConfig } from '../models/config/model-config.ts';
import { FormatError } from './errors.ts';
import { describeBaseModel, withModelWeights } from './hugging-face/hugging-face-model.ts';
import { resolveInFolder } from './hugging-face/model-folder.ts';
import { adapterSha256, describeAdapter, loadAdapter, readAdapterManifest } from './peft/peft-adapter.ts';

export interface BaseModelInspection {
  readonly kind: 'base_model';
  readonly architecture: string;
  readonly parameters: number;
  readonly fingerprint: string;
  readonly dtypes: readonly string[];
  readonly config: ModelConfig;
}

export interface AdapterInspection {
  readonly kind: 'adapter';
  readonly rank: number;
  /** Largest rank of a module, which a server must allow (`--max-lora-rank` of vLLM). */
  readonly largestRank: number;
  readonly alpha: number;
  readonly useRslora: boolean;
  readonly useDora: boolean;
  /** As the file says: names, a regular expression or `all-linear`. */
  readonly targets: readonly string[] | string;
  /** Adapted modules. */
  readonly modules: number;
  readonly parameters: number;
  /** The tensors' keys are spelt as PEFT writes them; other spellings are read here, and by hardly any server. */
  readonly speltAsPeft: boolean;
  readonly baseModelName: string | null;
  /** From `readapt.json`, where there is one: the base that the adapter was made for. */
  readonly baseFingerprint: string | null;
  /** SHA-256 of what the adapter computes; needs the base, null without. */
  readonly fingerprint: string | null;
  /** `model_type` of the base it was checked against; null without one. */
  readonly architecture: string | null;
}

export type Inspection = BaseModelInspection | AdapterInspection;

/**
 * Checks a folder as strictly as loading it would, and says what it holds.
 * @param base folder of the base model that an adapter must fit; without it the adapter is checked on its own
 * @throws FormatError naming file, tensor or field, the value found and the one expected
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

/** Names and shapes of the base are checked, too; its values are not read. */
async function inspectAdapterOn(folder: string, baseFolder: string): Promise<AdapterInspection> {
  const config = await withModelWeights(baseFolder, (model) => Promise.resolve(model.config));
  const adapter = await loadAdapter(folder, config);
  return { ...(await adapterFields(folder)), fingerprint: adapterSha256(adapter), architecture: config.modelType };
}

async function adapterFields(folder: string) {
  const { config, modules, parameters, largestRank, speltAsPeft } = await describeAdapter(folder);
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
    speltAsPeft,
    baseModelName,
    baseFingerprint,
  };
}
