import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adapterSha256, saveAdapter } from '../../../core/formats/peft/peft-adapter-writer.ts';
import { describeAdapter, loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import { refuseUnsupported } from '../../../core/formats/peft/peft-fields.ts';
import { writeSafetensors } from '../../../core/formats/safetensors/safetensors-writer.ts';
import { parseModelConfig } from '../../../core/formats/hugging-face/config/parse-model-config.ts';
import { Random } from '../../../core/statistics/random.ts';
import { temporaryFolder } from './support/folders.ts';

const FIXTURES = new URL('../../fixtures/peft-versions/', import.meta.url).pathname;

/** Files that one version of PEFT wrote for one LoraConfig. */
interface Written {
  readonly weights: string;
  readonly adapter_config: Readonly<Record<string, unknown>>;
  readonly tensors: Readonly<Record<string, readonly number[]>>;
}

const read = (file: string) => JSON.parse(readFileSync(join(FIXTURES, file), 'utf8')) as Record<string, Written>;
const SETTINGS = read('0.21.2-settings.json');
const VERSIONS = readdirSync(FIXTURES).filter((name) => /^[\d.]+\.json$/.test(name));
const WRITTEN = VERSIONS.flatMap((file) => {
  return Object.entries(read(file)).map(([name, written]) => ({
    version: file.slice(0, -'.json'.length),
    name,
    written,
  }));
});

/** Base model of all adapters. */
const BASE = parseModelConfig(
  {
    model_type: 'llama',
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    vocab_size: 16,
    max_position_embeddings: 32,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: true,
  },
  'config.json',
);

/** Writes the folder with random values. */
async function folderOf({ weights, adapter_config, tensors }: Written): Promise<string> {
  const folder = join(await temporaryFolder(), 'adapter');
  await mkdir(folder);
  await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(adapter_config));
  const random = Random.fromSeed(1);
  const filled = Object.entries(tensors).map(([key, shape]) => {
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).map(() => random.normal());
    return [key, { shape, data }] as const;
  });
  await writeSafetensors(join(folder, weights), new Map(filled));
  return folder;
}

/** Expected config and modules of each name. */
const EXPECTED: Record<string, { config: object; modules: number; scalings: number[] }> = {
  lora: { config: { rank: 2, alpha: 4, dropout: 0.05, useDora: false, useRslora: false }, modules: 4, scalings: [2] },
  rslora: { config: { useRslora: true, dropout: 0 }, modules: 4, scalings: [4 / Math.sqrt(2)] },
  'dora-rslora': { config: { useDora: true, useRslora: true }, modules: 4, scalings: [4 / Math.sqrt(2)] },
  patterns: { config: { targetModules: ['q_proj', 'v_proj'] }, modules: 4, scalings: [2, 4, 4 / 3] },
  layers: {
    config: { targetModules: ['model.layers.1.self_attn.q_proj', 'model.layers.1.self_attn.v_proj'] },
    modules: 2,
    scalings: [2],
  },
  'all-linear': { config: { rank: 2 }, modules: 14, scalings: [2] },
};

describe('adapters as PEFT wrote them', () => {
  it.each(WRITTEN.filter(({ written }) => written.weights.endsWith('.safetensors')))(
    '$version $name loads',
    async ({ name, written }) => {
      const folder = await folderOf(written);
      const adapter = await loadAdapter(folder, BASE);
      const { config, modules, scalings } = EXPECTED[name]!;
      expect(adapter.config).toMatchObject(config);
      expect(adapter.modules.size).toBe(modules);
      expect(new Set([...adapter.modules.values()].map(({ scaling }) => scaling))).toEqual(new Set(scalings));
      expect(await describeAdapter(folder)).toMatchObject({ hasPeftKeys: true, modules: { length: modules } });
    },
  );

  it.each(Object.entries(read('0.21.2.json')))('%s is the same when it is saved again', async (_, written) => {
    const adapter = await loadAdapter(await folderOf(written), BASE);
    const again = join(await temporaryFolder(), 'again');
    await saveAdapter(again, adapter);
    const reread = await loadAdapter(again, BASE);
    expect(adapterSha256(reread)).toBe(adapterSha256(adapter));
    expect(reread.config.dropout).toBe(adapter.config.dropout);
  });

  it('pickles of the earliest versions are refused', async () => {
    const pickles = WRITTEN.filter(({ written }) => written.weights.endsWith('.bin'));
    expect(pickles.map(({ version }) => version)).toEqual(['0.1.0', '0.3.0']);
    for (const { written } of pickles) {
      await expect(loadAdapter(await folderOf(written), BASE)).rejects.toMatchObject({ code: 'pickle_refused' });
      const converted = await folderOf({ ...written, weights: 'adapter_model.safetensors' });
      expect((await loadAdapter(converted, BASE)).modules.size).toBe(4);
    }
  });

  it('every field that a version has written is decided on', () => {
    const fields = [...WRITTEN.map(({ written }) => written), ...Object.values(SETTINGS)].flatMap(
      ({ adapter_config }) => Object.keys(adapter_config),
    );
    const isUnknown = (field: string): boolean => {
      try {
        refuseUnsupported({ peft_type: 'LORA', [field]: 'something' });
        return false;
      } catch (error) {
        return (error as Error).message.includes('an unknown field');
      }
    };
    expect([...new Set(fields)].filter(isUnknown)).toEqual([]);
    expect(['constructor', 'something_new'].filter(isUnknown)).toEqual(['constructor', 'something_new']);
  });
});

/** Configs that compute LoRA or DoRA, with the number of adapted modules. */
const LOADED: Record<string, number> = {
  'ensure-weight-tying': 4, 'fan-in-fan-out': 4, 'full-name-and-layers': 2, 'full-names': 2, 'layers-empty': 4,
  'layers-regex': 2, 'no-init': 4, 'no-task-type': 4, 'rank-full-names': 4, eva: 4, exclude: 3, gaussian: 4, mica: 4,
  orthogonal: 4,
}; // oxfmt-ignore

/** Configs that compute something else, with the subject and the message of the error. */
const REFUSED: Record<string, [subject: string, message: string]> = {
  alora: ['alora_invocation_tokens', 'is [1,2], supported: null (Activated LoRA'],
  bdlora: ['use_bdlora', 'BD-LoRA has block-diagonal factors'],
  'bias-lora-only': ['bias', 'is "lora_only", supported: "none" (trained biases'],
  'embedding-targeted': ['target_modules', 'target_modules is "embed_tokens", supported: the linear layers'],
  'embeddings-resized': ['base_model.model.lm_head.weight', "the base's own embeddings or head"],
  'embeddings-saved': ['base_model.model.lm_head.weight', 'save_embedding_layers=False'],
  'feature-extraction': ['task_type', 'is "FEATURE_EXTRACTION", supported: "CAUSAL_LM"'],
  'head-targeted': ['target_modules', 'target_modules is "lm_head", supported: the linear layers'],
  kasa: ['kasa_config', 'KaSA truncates the base weights'],
  'layer-replication': ['layer_replication', 'is [[0,2],[1,2]], supported: null (the adapted model has more layers'],
  'lora-bias': ['lora_bias', 'is true, supported: false (a bias beside lora_B; train the adapter without it)'],
  'lora-ga': ['init_lora_weights', 'path_initial_model_for_weight_conversion'],
  'modules-to-save': ['modules_to_save', 'is ["lm_head"], supported: null (whole modules'],
  monteclora: ['monteclora_config', 'MonteCLoRA samples the factors'],
  olora: ['init_lora_weights', 'is "olora", supported: true, false, "gaussian"'],
  pissa: ['init_lora_weights', 'is "pissa", supported: true, false, "gaussian"'],
  'target-parameters': ['target_parameters', 'is ["mlp.gate_proj.weight"], supported: null'],
  'trainable-tokens': ['trainable_token_indices', 'rows of the embedding'],
  velora: ['velora_config', 'VeLoRA has tensors beside the factors'],
};

describe('settings of PEFT 0.21', () => {
  it('each is either loaded or refused', () => {
    expect([...Object.keys(LOADED), ...Object.keys(REFUSED)].sort()).toEqual(Object.keys(SETTINGS).sort());
  });

  it.each(Object.entries(LOADED))('%s loads %i modules', async (name, modules) => {
    const adapter = await loadAdapter(await folderOf(SETTINGS[name]!), BASE);
    expect(adapter.modules.size).toBe(modules);
  });

  it.each(Object.entries(REFUSED))('%s is refused', async (name, [subject, message]) => {
    const load = loadAdapter(await folderOf(SETTINGS[name]!), BASE);
    await expect(load).rejects.toMatchObject({ subject, message: expect.stringContaining(message) });
  });

  it('looks up full names of rank_pattern', async () => {
    const { modules } = await loadAdapter(await folderOf(SETTINGS['rank-full-names']!), BASE);
    const settings = [...modules].map(([name, { rank, scaling }]) => [
      name.slice('model.layers.'.length),
      rank,
      scaling,
    ]);
    expect(settings).toEqual([
      ['0.self_attn.q_proj', 2, 2],
      ['0.self_attn.v_proj', 1, 3],
      ['1.self_attn.q_proj', 3, 4 / 3],
      ['1.self_attn.v_proj', 2, 2],
    ]);
  });
});

describe('keys in other spellings', () => {
  const dora = read('0.21.2.json')['dora-rslora']!;
  const spelled = (spell: (key: string) => string): Written => {
    return {
      ...dora,
      tensors: Object.fromEntries(Object.entries(dora.tensors).map(([key, shape]) => [spell(key), shape])),
    };
  };

  it.each<[string, (key: string) => string]>([
    [
      'with the name of the adapter',
      (key) => key.replace(/\.weight$/, '.default.weight').replace(/vector$/, 'vector.default.weight'),
    ],
    ['with another name', (key) => key.replace(/\.weight$/, '.tenant-7.weight').replace(/vector$/, 'vector.tenant-7')],
    ['magnitudes as weights', (key) => key.replace(/vector$/, 'vector.weight')],
    ['without base_model.model', (key) => key.replace('base_model.model.', '')],
  ])('%s: the same adapter', async (_, spell) => {
    const [plain, other] = [await folderOf(dora), await folderOf(spelled(spell))];
    expect(adapterSha256(await loadAdapter(other, BASE))).toBe(adapterSha256(await loadAdapter(plain, BASE)));
    expect(await describeAdapter(other)).toMatchObject({ hasPeftKeys: false });
  });

  it('several adapters in one file are refused', async () => {
    const two = spelled((key) => key.replace(/\.weight$/, key.includes('layers.0') ? '.one.weight' : '.two.weight'));
    await expect(loadAdapter(await folderOf(two), BASE)).rejects.toThrow(
      'the file holds several adapters (one, two), expected one',
    );
  });
});
