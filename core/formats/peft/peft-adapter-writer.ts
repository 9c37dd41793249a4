import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Adapter, LoraConfig } from '../../models/lora/adapter.ts';
import { loraSettings } from '../../models/lora/lora-config.ts';
import { isTargeted } from '../../models/lora/module-pattern.ts';
import { trainableArrays } from '../../models/lora/trainable-arrays.ts';
import { ADAPTER_MANIFEST, encodeManifest, type AdapterManifest } from './adapter-manifest.ts';
import { ADAPTER_OUTCOMES, encodeOutcomes } from './adapter-outcomes.ts';
import { writeFileAtomic, writeFolderAtomic } from '../atomic-file.ts';
import { firstNonFinite } from '../safetensors/dtypes.ts';
import { ADAPTER_CONFIG } from './peft-config.ts';
import { ADAPTER_WEIGHTS, factorKey } from './peft-keys.ts';
import { factorShapes } from './peft-tensors.ts';
import { writeSafetensors, type TensorToWrite } from '../safetensors/safetensors-writer.ts';

interface SaveAdapterOptions {
  /**
   * Value of `base_model_name_or_path`, written unchanged: PEFT's `AutoPeftModel` loads the base from there, and vLLM's
   * resolvers serve the adapter only with the base of this name. Default: null, for no base.
   */
  readonly baseModelName?: string;
  /** Content of `readapt.json`, to which checksums are added. Without it, no such file is written. */
  readonly manifest?: AdapterManifest;
  /**
   * Content of `readapt-outcomes.json`: values measured for rows on the base that the manifest names, each by a key
   * that stands for the row. Written only if a manifest is given.
   */
  readonly outcomes?: ReadonlyMap<string, number>;
  /** Whether an existing folder is replaced. Default false: a folder that exists and is not empty is an error. */
  readonly replace?: boolean;
}

/**
 * Writes an adapter as a PEFT folder (float32) that `PeftModel.from_pretrained` and vLLM load. The write is atomic: the
 * folder appears complete or not at all.
 * @throws Error if the adapter contradicts its own config (rank, scaling, target modules, DoRA) or holds an infinity or
 * NaN
 */
export async function saveAdapter(folder: string, adapter: Adapter, options: SaveAdapterOptions = {}): Promise<void> {
  const tensors = tensorsOf(adapter);
  checkAdapter(adapter, tensors);
  const config = encodeConfig(adapter.config, options.baseModelName);
  await writeFolderAtomic(
    folder,
    async (temporary) => {
      await writeSafetensors(join(temporary, ADAPTER_WEIGHTS), tensors);
      await writeFileAtomic(join(temporary, ADAPTER_CONFIG), config);
      const { manifest, outcomes } = options;
      if (!manifest) return;
      const sha256 = adapterSha256(adapter);
      // Checksums cover only the files that servers need, so that the others can be removed.
      const text = await encodeManifest(manifest, sha256, temporary, [ADAPTER_CONFIG, ADAPTER_WEIGHTS]);
      await writeFileAtomic(join(temporary, ADAPTER_MANIFEST), text);
      if (!outcomes) return;
      const { baseFingerprint } = manifest;
      const rows = encodeOutcomes({ baseFingerprint, adapterSha256: sha256, rows: outcomes });
      await writeFileAtomic(join(temporary, ADAPTER_OUTCOMES), rows);
    },
    { replace: options.replace },
  );
}

/**
 * Computes a SHA-256 (hex) over all that determines an adapter's outputs: scaling, shapes and float32 factors (and
 * magnitude) of each module, in name order.
 */
export function adapterSha256(adapter: Adapter): string {
  const hash = createHash('sha256');
  for (const [name, factors] of [...adapter.modules].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { rank, inFeatures, outFeatures, scaling, magnitude } = factors;
    hash.update(`${JSON.stringify([name, rank, inFeatures, outFeatures, scaling, ...(magnitude ? ['dora'] : [])])}\n`);
    for (const [, data] of trainableArrays(factors))
      hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}

function tensorsOf(adapter: Adapter): Map<string, TensorToWrite> {
  const tensors = new Map<string, TensorToWrite>();
  for (const [name, factors] of adapter.modules) {
    const shapes = factorShapes(factors);
    for (const [factor, data] of trainableArrays(factors))
      tensors.set(factorKey(name, factor), { shape: shapes[factor], data });
  }
  return tensors;
}

/** Checks the factors against the config, because readers derive ranks and scalings from the config alone. */
function checkAdapter({ config, modules }: Adapter, tensors: ReadonlyMap<string, TensorToWrite>): void {
  if (modules.size === 0) throw new Error('adapter has no module');
  const settings = loraSettings(config, [...modules.keys()]);
  const targets = new Set(config.targetModules);
  for (const [name, { rank, scaling, magnitude }] of modules) {
    const expected = settings.get(name);
    if (rank !== expected?.rank)
      throw new Error(`module ${name} has rank ${rank}, expected ${expected?.rank} by the config`);
    if (Math.abs(scaling - expected.scaling) > 1e-6 * expected.scaling) {
      throw new Error(`module ${name} has scaling ${scaling}, expected ${expected.scaling} by the config`);
    }
    if (Boolean(config.useDora) !== (magnitude !== undefined)) {
      const found = magnitude ? 'a magnitude' : 'no magnitude';
      throw new Error(`module ${name} has ${found}, but use_dora is ${Boolean(config.useDora)} in the config`);
    }
    if (!isTargeted(name, targets))
      throw new Error(`module ${name} is not in the config's target modules (${config.targetModules.join(', ')})`);
  }
  for (const [key, { data }] of tensors) {
    const at = firstNonFinite(data);
    if (at >= 0) throw new Error(`tensor ${key} holds a value that is not finite: ${data[at]} at flat index ${at}`);
  }
}

/**
 * Encodes adapter_config.json with only those fields that every PEFT since 0.10 knows, because PEFT refuses unknown
 * fields.
 */
function encodeConfig(config: LoraConfig, baseModelName: string | undefined): string {
  const json = {
    alpha_pattern: config.alphaPattern,
    auto_mapping: null,
    base_model_name_or_path: baseModelName ?? null,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    loftq_config: {},
    lora_alpha: config.alpha,
    lora_dropout: config.dropout ?? 0,
    megatron_config: null,
    megatron_core: 'megatron.core',
    modules_to_save: null,
    peft_type: 'LORA',
    r: config.rank,
    rank_pattern: config.rankPattern,
    revision: null,
    target_modules: [...config.targetModules].sort(),
    task_type: 'CAUSAL_LM',
    use_dora: config.useDora ?? false,
    use_rslora: config.useRslora,
  };
  return `${JSON.stringify(json, null, 2)}\n`;
}
