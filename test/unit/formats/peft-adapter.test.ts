import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readModelConfig } from '../../../core/formats/hugging-face/model-weights.ts';
import { adapterSha256, saveAdapter } from '../../../core/formats/peft/peft-adapter-writer.ts';
import { describeAdapter, loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import { readAdapterConfig } from '../../../core/formats/peft/peft-config.ts';
import {
  ADAPTER_MANIFEST,
  readAdapterManifest,
  verifyAdapterFiles,
} from '../../../core/formats/peft/adapter-manifest.ts';
import { withSafetensors } from '../../../core/formats/safetensors/safetensors.ts';
import { writeSafetensors } from '../../../core/formats/safetensors/safetensors-writer.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import { copyOf, GOLDEN, patchJson, readJson, temporaryFolder } from './support/folders.ts';

const CONFIG = 'adapter_config.json';
const base = (name: string) => readModelConfig(join(GOLDEN, name, 'base'));
const load = async (name: string) => loadAdapter(join(GOLDEN, name, 'adapter'), await base(name));

/** Ranks and scalings of layer 0 or 1, by short module name. */
function settings(adapter: Adapter, layer: number): Record<string, [number, number]> {
  const prefix = `model.layers.${layer}.`;
  const entries = [...adapter.modules].filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(entries.map(([name, { rank, scaling }]) => [name.slice(prefix.length), [rank, scaling]]));
}

describe('loading', () => {
  it('reads factors in the order of the base, as they are stored', async () => {
    const adapter = await load('llama-gqa-tied');
    expect([...adapter.modules.keys()].slice(5, 9)).toEqual([
      'model.layers.0.mlp.up_proj',
      'model.layers.0.mlp.down_proj',
      'model.layers.1.self_attn.q_proj',
      'model.layers.1.self_attn.k_proj',
    ]);
    const down = adapter.modules.get('model.layers.0.mlp.down_proj')!;
    expect(down).toMatchObject({ rank: 4, inFeatures: 96, outFeatures: 64, scaling: 2 });
    const stored = await withSafetensors(join(GOLDEN, 'llama-gqa-tied/adapter/adapter_model.safetensors'), (file) =>
      file.read('base_model.model.model.layers.0.mlp.down_proj.lora_B.weight'),
    );
    expect(down.b).toEqual(stored.data);
  });

  it('looks up rank and alpha patterns on their own, first match first', async () => {
    const adapter = await load('llama-patterns');
    const others = { 'self_attn.k_proj': [4, 2], 'self_attn.o_proj': [4, 2], 'mlp.up_proj': [4, 2] };
    expect(settings(adapter, 0)).toEqual({
      ...others,
      'self_attn.q_proj': [2, 4],
      'self_attn.v_proj': [3, 5 / 3],
      'mlp.gate_proj': [4, 4],
      'mlp.down_proj': [4, 2],
    });
    expect(settings(adapter, 1)).toEqual({
      ...others,
      'self_attn.q_proj': [2, 4],
      'self_attn.v_proj': [4, 5 / 4],
      'mlp.gate_proj': [4, 2],
      'mlp.down_proj': [6, 8 / 6],
    });
  });

  it('scales by √rank under rsLoRA', async () => {
    const adapter = await load('llama-qv-rslora');
    expect(adapter.modules.size).toBe(4);
    for (const { rank, scaling } of adapter.modules.values()) {
      expect(scaling).toBeCloseTo(adapter.config.alpha / Math.sqrt(rank), 12);
    }
  });
});

describe('DoRA', () => {
  const DOWN = 'base_model.model.model.layers.1.mlp.down_proj.lora_magnitude_vector';

  async function altered(change: (tensors: Map<string, { shape: readonly number[]; data: Float32Array }>) => void) {
    const folder = await copyOf('llama-dora/adapter');
    const file = join(folder, 'adapter_model.safetensors');
    const tensors = await withSafetensors(file, async (opened) => {
      return new Map(await Promise.all(opened.names.map(async (name) => [name, await opened.read(name)] as const)));
    });
    change(tensors);
    await writeSafetensors(file, tensors);
    return folder;
  }

  it('has a magnitude for every output of every module', async () => {
    const adapter = await load('llama-dora');
    expect(adapter.config.useDora).toBe(true);
    const down = adapter.modules.get('model.layers.1.mlp.down_proj')!;
    const stored = await withSafetensors(join(GOLDEN, 'llama-dora/adapter/adapter_model.safetensors'), (file) =>
      file.read(DOWN),
    );
    expect(down.magnitude).toEqual(stored.data);
    expect((await load('llama-gqa-tied')).modules.get('model.layers.1.mlp.down_proj')).not.toHaveProperty('magnitude');
    const modules = [...adapter.modules].map(([name, { magnitude: _, ...factors }]) => [name, factors] as const);
    expect(adapterSha256({ ...adapter, modules: new Map(modules) })).not.toBe(adapterSha256(adapter));
  });

  it('is described with its magnitudes', async () => {
    const [dora, lora] = await Promise.all(
      ['llama-dora', 'llama-gqa-tied'].map((name) => describeAdapter(join(GOLDEN, name, 'adapter'))),
    );
    const outputs = [...(await load('llama-dora')).modules.values()].reduce(
      (total, { outFeatures }) => total + outFeatures,
      0,
    );
    expect(dora!.parameters).toBe(lora!.parameters + outputs);
  });

  it('is refused where a magnitude is missing, of another shape, there twice or not asked for', async () => {
    const config = await base('llama-dora');
    const missing = await altered((tensors) => tensors.delete(DOWN));
    const found = 'module model.layers.1.mlp.down_proj has no magnitude, but use_dora is true';
    const message = `${found}: tensor ${DOWN} is missing`;
    await expect(loadAdapter(missing, config)).rejects.toThrow(message);
    await expect(describeAdapter(missing)).rejects.toThrow(message);
    const short = await altered((tensors) => tensors.set(DOWN, { shape: [63], data: new Float32Array(63) }));
    await expect(loadAdapter(short, config)).rejects.toThrow(`${DOWN} has shape [63], expected [64]`);
    const twice = await altered((tensors) => tensors.set(`${DOWN}.weight`, tensors.get(DOWN)!));
    await expect(loadAdapter(twice, config)).rejects.toThrow(
      `unexpected key ${DOWN}.weight: the same tensor is already there as ${DOWN}`,
    );
    const unasked = await copyOf('llama-dora/adapter');
    await patchJson(join(unasked, CONFIG), { use_dora: false });
    await expect(loadAdapter(unasked, config)).rejects.toThrow('lora_magnitude_vector: use_dora is not true');
  });
});

/** Regular expression that `get_peft_regex` of Unsloth makes for the seven projections of a language model. */
const UNSLOTH =
  '(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense).*?' +
  '(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj).*?)|' +
  '(?:\\bmodel\\.layers\\.[\\d]{1,}\\.(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense)\\.' +
  '(?:(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)))';

describe('targets', () => {
  const SEVEN = ['down_proj', 'gate_proj', 'k_proj', 'o_proj', 'q_proj', 'up_proj', 'v_proj'];

  it.each<[string, Record<string, unknown>, string[]]>([
    ['all-linear', { target_modules: 'all-linear' }, SEVEN],
    ['a regular expression', { target_modules: '.*\\.(self_attn|mlp)\\.[a-z]+_proj' }, SEVEN],
    ['layers that are all there are', { layers_to_transform: [0, 1], layers_pattern: 'layers' }, SEVEN],
    ['an exclusion of nothing', { exclude_modules: ['lm_head'] }, SEVEN],
    ['names of other architectures beside its own', { target_modules: [...SEVEN, 'c_attn', 'query_key_value'] }, SEVEN],
    ['the expression that Unsloth writes', { target_modules: UNSLOTH }, SEVEN],
  ])('%s', async (_, fields, targets) => {
    const folder = await copyOf('llama-gqa-tied/adapter');
    await patchJson(join(folder, CONFIG), fields);
    const adapter = await loadAdapter(folder, await base('llama-gqa-tied'));
    expect(adapter.config.targetModules).toEqual(targets);
    expect(adapter.modules.size).toBe(14);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['fewer layers than tensors', { layers_to_transform: 1 }, 'does not name module model.layers.0.'],
    ['an excluded module', { exclude_modules: ['q_proj'] }, 'does not name module model.layers.0.self_attn.q_proj'],
    ['a module less', { target_modules: ['q_proj'] }, 'does not name module model.layers.0.mlp.down_proj'],
    ['none of the base', { target_modules: ['c_attn'] }, 'it names no linear layer of the base'],
    ['the head', { target_modules: ['q_proj', 'lm_head'] }, 'target_modules is "lm_head", supported'],
    ['a bad expression', { target_modules: '(q_proj' }, 'target_modules holds an unusable value'],
    ['an endless expression', { target_modules: '(.+)+_nothing$' }, 'takes over 1000 ms'],
    ['syntax of Python alone', { target_modules: '(?i)Q_PROJ' }, 'uses (?, which is not supported'],
    ['a bad rank pattern', { rank_pattern: { '[q': 2 } }, 'rank_pattern or alpha_pattern holds an unusable value'],
  ])('%s is refused', async (_, fields, message) => {
    const folder = await copyOf('llama-gqa-tied/adapter');
    await patchJson(join(folder, CONFIG), fields);
    await expect(loadAdapter(folder, await base('llama-gqa-tied'))).rejects.toThrow(message);
  });

  it('a module that is targeted and has no tensors is refused', async () => {
    const folder = await copyOf('llama-qv-rslora/adapter');
    await patchJson(join(folder, CONFIG), { target_modules: ['q_proj', 'v_proj', 'o_proj'] });
    await expect(loadAdapter(folder, await base('llama-qv-rslora'))).rejects.toThrow(
      'module model.layers.0.self_attn.o_proj has neither lora_A nor lora_B',
    );
  });
});

describe('adapter_config.json', () => {
  it.each<[string, unknown, string]>([
    ['use_dora', 'yes', 'true, false'],
    ['bias', 'all', '"none" (trained biases of the base are not carried over; train the adapter with bias="none")'],
    [
      'modules_to_save',
      ['lm_head'],
      'null (whole modules are trained beside the adapter; train the adapter without it)',
    ],
    ['lora_bias', true, 'false'],
    ['layer_replication', [[0, 1]], 'null'],
    ['target_parameters', ['w'], 'null'],
    ['trainable_token_indices', [1], 'null'],
    ['init_lora_weights', 'pissa', 'true, false, "gaussian"'],
    ['peft_type', 'IA3', '"LORA" (other methods compute something else; PEFT\'s save_as_lora'],
    ['peft_type', null, '"LORA"'],
    ['task_type', 'SEQ_CLS', '"CAUSAL_LM"'],
    [
      'use_something_new',
      true,
      'false (an unknown field, written by PEFT 0.21.2, which may change what is computed; if it does not, remove it',
    ],
    ['something_new', 'a word', 'null'],
    ['something_new', 0.5, 'null'],
    ['something_new_config', { a: 1 }, 'null'],
  ])('%s %j is refused by name', async (field, value, supported) => {
    const folder = await copyOf('llama-gqa-tied/adapter');
    await patchJson(join(folder, CONFIG), { [field]: value });
    const read = readAdapterConfig(folder);
    await expect(read).rejects.toMatchObject({ code: 'unsupported_adapter', file: CONFIG, subject: field });
    await expect(read).rejects.toThrow(`${CONFIG}: ${field} is ${JSON.stringify(value)}, supported: ${supported}`);
  });

  it.each<[string, unknown, string]>([
    ['r', 0, 'r is 0, expected a positive integer'],
    ['r', undefined, 'r is missing, expected a positive integer'],
    ['r', '8', 'r is "8", expected a positive integer'],
    ['lora_alpha', -1, 'lora_alpha is -1, expected a positive number'],
    ['rank_pattern', { q_proj: 1.5 }, 'rank_pattern is {"q_proj":1.5}'],
    ['alpha_pattern', [], 'alpha_pattern is [], expected an object'],
    ['target_modules', null, 'target_modules is null, expected a list of module names'],
    ['target_modules', [], 'target_modules is [], expected a list'],
    ['layers_to_transform', 'x', 'layers_to_transform is "x", expected layer numbers'],
    ['lora_dropout', 1, 'lora_dropout is 1, expected a number of at least 0 and below 1'],
    ['lora_dropout', '0.1', 'lora_dropout is "0.1", expected a number'],
  ])('%s %j is invalid', async (field, value, message) => {
    const folder = await copyOf('llama-gqa-tied/adapter');
    await patchJson(join(folder, CONFIG), { [field]: value });
    await expect(readAdapterConfig(folder)).rejects.toThrow(message);
  });

  it('accepts what an old version leaves out and what a new one adds without effect', async () => {
    const folder = await copyOf('llama-gqa-tied/adapter');
    const { r, lora_alpha, target_modules, peft_type } = await readJson(join(folder, CONFIG));
    await writeFile(join(folder, CONFIG), JSON.stringify({ r, lora_alpha, target_modules, peft_type }));
    const old = await loadAdapter(folder, await base('llama-gqa-tied'));
    await patchJson(join(folder, CONFIG), {
      peft_version: '9.0',
      use_new: false,
      new_config: null,
      new_list: [],
      new_name: '',
    });
    expect(adapterSha256(await loadAdapter(folder, await base('llama-gqa-tied')))).toBe(adapterSha256(old));
    expect(adapterSha256(old)).toBe(adapterSha256(await load('llama-gqa-tied')));
  });

  it('refuses a pickle', async () => {
    const folder = await copyOf('llama-gqa-tied/adapter');
    await rename(join(folder, 'adapter_model.safetensors'), join(folder, 'adapter_model.bin'));
    await expect(loadAdapter(folder, await base('llama-gqa-tied'))).rejects.toMatchObject({
      code: 'pickle_refused',
      file: 'adapter_model.bin',
      message: expect.stringContaining('safe_serialization=True'),
    });
    await rm(join(folder, 'adapter_model.bin'));
    await expect(loadAdapter(folder, await base('llama-gqa-tied'))).rejects.toMatchObject({ code: 'missing_file' });
  });
});

describe('saving', () => {
  const SUM = { sha256: 'f'.repeat(64), bytes: 1 };

  it.each(['llama-gqa-tied', 'llama-patterns', 'llama-qv-rslora', 'llama-bf16', 'llama-dora'])(
    '%s survives',
    async (name) => {
      const adapter = await load(name);
      const folder = join(await temporaryFolder(), 'deep', 'out');
      await saveAdapter(folder, adapter, { baseModelName: 'org/base' });
      expect((await readdir(folder)).sort()).toEqual([CONFIG, 'adapter_model.safetensors']);
      const read = await loadAdapter(folder, await base(name));
      expect(read).toEqual(adapter);
      expect((await readAdapterConfig(folder)).baseModelName).toBe('org/base');
      expect(await readAdapterManifest(folder)).toBeNull();
    },
  );

  it.each(['llama-patterns', 'llama-dora'])(
    'writes %s with the fields that the oldest supported PEFT knows',
    async (name) => {
      const folder = join(await temporaryFolder(), 'out');
      await saveAdapter(folder, await load(name));
      const [written, reference] = [
        await readJson(join(folder, CONFIG)),
        await readJson(join(GOLDEN, name, 'adapter', CONFIG)),
      ];
      for (const [field, value] of Object.entries(written)) {
        expect([field, value]).toEqual([field, field === 'base_model_name_or_path' ? null : reference[field]]);
      }
    },
  );

  it('reads a folder whose manifest has coefficients for groups of modules, as up to version 0.2', async () => {
    const folder = join(await temporaryFolder(), 'out');
    const adapter = await load('llama-gqa-tied');
    await saveAdapter(folder, adapter, {
      manifest: { baseFingerprint: 'f'.repeat(64), coefficients: { alpha: 1, beta: -0.4 } },
    });
    const file = join(folder, ADAPTER_MANIFEST);
    const json = await readJson(file);
    const values = { attention: { alpha: 1.1, beta: -0.9 }, mlp: { alpha: 0.9, beta: 0.1 } };
    const groups = { grouping: 'block', values };
    await writeFile(file, JSON.stringify({ ...json, coefficients: { alpha: 1, beta: -0.4, groups } }));
    expect((await readAdapterManifest(folder))!.coefficients).toMatchObject({ alpha: 1, beta: -0.4 });
    await verifyAdapterFiles(folder);
    const read = await loadAdapter(folder, await base('llama-gqa-tied'));
    expect([...read.modules.keys()]).toEqual([...adapter.modules.keys()]);
  });

  it('writes a manifest whose checksums catch a changed file', async () => {
    const manifest = {
      baseFingerprint: 'f'.repeat(64),
      parent: 'adv_1',
      strategy: 'relora',
      coefficients: { alpha: 1, beta: -0.8 },
      metrics: { accuracy: 0.875 },
      precision: 'int8',
      judgedIn: 'f32',
      appendEos: true,
      maxLength: 512,
    };
    const folder = join(await temporaryFolder(), 'out');
    const adapter = await load('llama-gqa-tied');
    await saveAdapter(folder, adapter, { manifest });
    expect(await readAdapterManifest(folder)).toEqual(manifest);
    expect((await readJson(join(folder, 'readapt.json')))['adapter_sha256']).toBe(adapterSha256(adapter));
    await verifyAdapterFiles(folder);
    await patchJson(join(folder, CONFIG), { lora_alpha: 9 });
    await expect(verifyAdapterFiles(folder)).rejects.toMatchObject({ code: 'adapter_modified', file: CONFIG });
  });

  it('is not loaded or described once a file has been changed', async () => {
    const folder = join(await temporaryFolder(), 'out');
    const adapter = await load('llama-gqa-tied');
    const config = await base('llama-gqa-tied');
    await saveAdapter(folder, adapter, { manifest: { baseFingerprint: 'f'.repeat(64) } });
    expect(await loadAdapter(folder, config)).toEqual(adapter);
    const weights = join(folder, 'adapter_model.safetensors');
    const bytes = await readFile(weights);
    await writeFile(weights, bytes.with(-1, bytes.at(-1)! ^ 1));
    const changed = {
      code: 'adapter_modified',
      file: 'adapter_model.safetensors',
      message: expect.stringContaining('was changed after it was written'),
    };
    await expect(loadAdapter(folder, config)).rejects.toMatchObject(changed);
    await expect(describeAdapter(folder)).rejects.toMatchObject(changed);
    await rm(join(folder, 'readapt.json'));
    expect((await loadAdapter(folder, config)).modules.size).toBe(adapter.modules.size);
  });

  it.each<[string, Record<string, unknown>, object]>([
    ['without checksums', { files: undefined }, { code: 'invalid_manifest', subject: 'files' }],
    [
      'with one checksum',
      { files: { [CONFIG]: SUM } },
      { code: 'invalid_manifest', message: expect.stringContaining('no checksum for adapter_model.safetensors') },
    ],
    [
      'with a checksum of another form',
      { files: { [CONFIG]: 'f' } },
      { code: 'invalid_manifest', message: expect.stringContaining('expected sha256 and bytes') },
    ],
    [
      'that names a file outside',
      { files: { '../x': SUM, [CONFIG]: SUM, 'adapter_model.safetensors': SUM } },
      { code: 'unsafe_path', file: 'readapt.json' },
    ],
  ])('a manifest %s is refused', async (_, fields, expected) => {
    const folder = join(await temporaryFolder(), 'out');
    await saveAdapter(folder, await load('llama-gqa-tied'), { manifest: { baseFingerprint: 'f'.repeat(64) } });
    await patchJson(join(folder, 'readapt.json'), fields);
    await expect(loadAdapter(folder, await base('llama-gqa-tied'))).rejects.toMatchObject(expected);
  });

  it('refuses an adapter that contradicts itself, and leaves nothing', async () => {
    const adapter = await load('llama-gqa-tied');
    const [name, factors] = [...adapter.modules][0]!;
    const withFactors = (changes: object): Adapter => ({
      ...adapter,
      modules: new Map([...adapter.modules, [name, { ...factors, ...changes }]]),
    });
    const root = await temporaryFolder();
    const save = (changes: object) => saveAdapter(join(root, 'out'), withFactors(changes));
    await expect(save({ scaling: 3 })).rejects.toThrow(`module ${name} has scaling 3, expected 2`);
    await expect(save({ magnitude: factors.b.slice(0, factors.outFeatures) })).rejects.toThrow(
      `module ${name} has a magnitude, but use_dora is false`,
    );
    await expect(save({ rank: 5 })).rejects.toThrow(`module ${name} has rank 5, expected 4`);
    await expect(save({ a: factors.a.map(() => NaN) })).rejects.toThrow('not finite: NaN at flat index 0');
    expect(await readdir(root)).toEqual([]);
  });

  it('replaces only when told to', async () => {
    const adapter = await load('llama-gqa-tied');
    const folder = join(await temporaryFolder(), 'out');
    await saveAdapter(folder, adapter);
    await expect(saveAdapter(folder, adapter)).rejects.toThrow(/ENOTEMPTY|EEXIST/);
    await saveAdapter(folder, await load('llama-gqa-tied'), { replace: true, baseModelName: 'second' });
    expect((await readAdapterConfig(folder)).baseModelName).toBe('second');
  });
});
