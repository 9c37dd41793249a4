import { cp, mkdir, readdir, readlink, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { FloatDtype } from '../../../core/formats/safetensors/dtypes.ts';
import { hashTensor, startFingerprint } from '../../../core/formats/hugging-face/fingerprint.ts';
import {
  describeBaseModel,
  loadBaseModel,
  openBaseModel,
} from '../../../core/formats/hugging-face/hugging-face-model.ts';
import { openModelWeights, withModelWeights } from '../../../core/formats/hugging-face/model-weights.ts';
import { withSafetensors } from '../../../core/formats/safetensors/safetensors.ts';
import { writeSafetensors } from '../../../core/formats/safetensors/safetensors-writer.ts';
import type { Tensor } from '../../../core/models/base-model.ts';
import { copyOf, GOLDEN, patchJson, readJson, temporaryFolder } from './support/folders.ts';

const TIED = join(GOLDEN, 'llama-gqa-tied/base');
const SHARDED = join(GOLDEN, 'llama-bf16/base');
const WEIGHTS = 'model.safetensors';
const EMBEDDING = 'model.embed_tokens.weight';

async function readTensors(path: string): Promise<Map<string, Tensor>> {
  return withSafetensors(path, async (file) => {
    const tensors = new Map<string, Tensor>();
    for (const name of file.names) tensors.set(name, await file.read(name));
    return tensors;
  });
}

/** A copy of the tied model with its tensors changed by `change`. */
async function changed(change: (tensors: Map<string, Tensor>) => void): Promise<string> {
  const folder = await copyOf('llama-gqa-tied/base');
  const tensors = await readTensors(join(folder, WEIGHTS));
  change(tensors);
  await writeSafetensors(join(folder, WEIGHTS), tensors);
  return folder;
}

/** Writes a folder with the same weights in one file, as `dtype`. */
async function resharded(source: string, dtype: FloatDtype): Promise<string> {
  const model = await loadBaseModel(source);
  const folder = await copyOf('llama-bf16/base');
  for (const name of [
    'model-00001-of-00002.safetensors',
    'model-00002-of-00002.safetensors',
    `${WEIGHTS}.index.json`,
  ]) {
    await rm(join(folder, name));
  }
  await writeSafetensors(join(folder, WEIGHTS), model.weights, { dtype });
  return folder;
}

describe('tensors of an architecture', () => {
  it.each([
    ['mistral', 'model.layers.0.self_attn.q_proj.weight', 'model.layers.0.self_attn.q_proj.bias'],
    ['qwen2', 'model.layers.1.self_attn.k_proj.bias', 'model.layers.1.self_attn.o_proj.bias'],
    ['qwen3', 'model.layers.0.self_attn.q_norm.weight', 'model.layers.0.self_attn.v_norm.weight'],
  ])('%s: all of them and no other', async (name, known, unknown) => {
    const folder = await copyOf(`${name}/base`);
    const tensors = await readTensors(join(folder, WEIGHTS));
    expect((await describeBaseModel(folder)).tensors.map((tensor) => tensor.name).sort()).toEqual(
      [...tensors.keys()].sort(),
    );
    const rewrite = async (change: (changed: Map<string, Tensor>) => void) => {
      const changed = new Map(tensors);
      change(changed);
      await writeSafetensors(join(folder, WEIGHTS), changed);
      return openModelWeights(folder);
    };
    await expect(rewrite((changed) => changed.delete(known))).rejects.toMatchObject({
      code: 'missing_tensor',
      subject: known,
    });
    await expect(rewrite((changed) => changed.set(unknown, tensors.get('model.norm.weight')!))).rejects.toThrow(
      `unexpected tensor ${unknown}: a ${name} model has no such tensor`,
    );
    await expect(
      rewrite((changed) => changed.set(known, { shape: [1], data: new Float32Array(1) })),
    ).rejects.toMatchObject({
      code: 'wrong_shape',
      subject: known,
    });
  });
});

describe('loading', () => {
  it('reads a single file with a tied head', async () => {
    const model = await loadBaseModel(TIED);
    expect(model.config).toMatchObject({ hiddenSize: 64, numLayers: 2, tieWordEmbeddings: true });
    expect(model.weights.size).toBe(20);
    expect([...model.weights.keys()][0]).toBe(EMBEDDING);
    expect(model.weights.get(EMBEDDING)!.shape).toEqual([model.config.vocabSize, 64]);
    const hash = startFingerprint(model.config);
    const ordered = [...model.weights].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, tensor] of ordered) hashTensor(hash, name, tensor);
    expect(model.fingerprint).toBe(hash.digest('hex'));
  });

  it('reads bfloat16 shards, exactly', async () => {
    const model = await loadBaseModel(SHARDED);
    const stored = await readTensors(join(SHARDED, 'model-00002-of-00002.safetensors'));
    for (const [name, tensor] of stored) expect(model.weights.get(name)).toEqual(tensor);
    expect(model.weights.size).toBe(21);
  });

  it.each([
    ['float32', TIED],
    ['bfloat16 shards', SHARDED],
  ])('keeps weights on disk that are picked, and reads them again: %s', async (_, folder) => {
    const whole = await loadBaseModel(folder);
    const isProjection = (name: string) => name.endsWith('_proj.weight');
    const model = await openBaseModel(folder, isProjection);
    try {
      expect(model.fingerprint).toBe(whole.fingerprint);
      expect([...model.weights]).toEqual([...whole.weights]);
      expect(model.weights.size).toBe(whole.weights.size);
      for (const name of [...whole.weights.keys(), 'model.no.such.weight']) {
        expect(model.weights.has(name), name).toBe(whole.weights.has(name));
        const first = model.weights.get(name);
        expect(model.weights.get(name), name).toBe(first);
        model.weights.get('model.layers.0.mlp.down_proj.weight');
        model.weights.get('model.layers.1.mlp.down_proj.weight');
        expect(model.weights.get(name) === first, name).toBe(!isProjection(name));
      }
    } finally {
      await model.close();
    }
    expect(model.weights.get(EMBEDDING)).toEqual(whole.weights.get(EMBEDDING));
    expect(() => model.weights.get('model.layers.0.mlp.up_proj.weight')).toThrow('is closed');
  });

  it('holds weights that were read to be checked until they are let go', async () => {
    const folder = await copyOf('llama-gqa-tied/base');
    const model = await openBaseModel(folder, (name) => name.endsWith('proj.weight'), { cacheRead: true });
    try {
      const whole = await loadBaseModel(folder);
      expect(model.fingerprint).toBe(whole.fingerprint);
      expect([...model.weights]).toEqual([...whole.weights]);
      // The file is not needed while the weights are held.
      await truncate(join(folder, WEIGHTS), 10_000);
      expect([...model.weights]).toEqual([...whole.weights]);
      model.evict();
      expect(() => [...model.weights]).toThrow('it was cut while open');
      expect(model.weights.get(EMBEDDING)).toEqual(whole.weights.get(EMBEDDING));
    } finally {
      await model.close();
    }
  });

  it.runIf(process.platform === 'linux')('keeps no file open where all weights are in memory', async () => {
    const openFiles = async () => {
      const files = await Promise.all(
        (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
      );
      return files.filter((file) => file.startsWith(SHARDED)).length;
    };
    const whole = await openBaseModel(SHARDED, () => false);
    expect(await openFiles()).toBe(0);
    const backed = await openBaseModel(SHARDED, () => true);
    expect(await openFiles()).toBe(2);
    for (const model of [whole, backed]) await model.close();
    expect(await openFiles()).toBe(0);
  });

  it('checks weights that stay on disk as strictly as others, and their file again when they are read', async () => {
    const name = 'model.layers.0.mlp.up_proj.weight';
    const folder = await changed((tensors) => void (tensors.get(name)!.data[3] = NaN));
    await expect(openBaseModel(folder, () => true)).rejects.toMatchObject({ code: 'not_finite', subject: name });
    const later = await copyOf('llama-gqa-tied/base');
    const open = await openBaseModel(later, () => true);
    try {
      await truncate(join(later, WEIGHTS), 10_000);
      expect(() => [...open.weights]).toThrow('it was cut while open');
    } finally {
      await open.close();
    }
  });

  it('gives the fingerprint of the values, however they are sharded and stored', async () => {
    const { fingerprint, parameters, dtypes } = await describeBaseModel(SHARDED);
    expect(fingerprint).toBe((await loadBaseModel(SHARDED)).fingerprint);
    expect({ parameters, dtypes }).toEqual({ parameters: 102720, dtypes: ['BF16'] });
    for (const dtype of ['BF16', 'F32'] as const) {
      expect((await describeBaseModel(await resharded(SHARDED, dtype))).fingerprint).toBe(fingerprint);
    }
  });

  it('gives another fingerprint when one value or the config changes', async () => {
    const before = (await describeBaseModel(TIED)).fingerprint;
    const value = await changed((tensors) => void (tensors.get('model.norm.weight')!.data[0]! += 1e-3));
    const config = await copyOf('llama-gqa-tied/base');
    await patchJson(join(config, 'config.json'), { rms_norm_eps: 1e-4 });
    const after = [await describeBaseModel(value), await describeBaseModel(config)].map((model) => model.fingerprint);
    expect(new Set([before, ...after]).size).toBe(3);
  });

  it('opens weights to be read one at a time', async () => {
    await withModelWeights(SHARDED, async (weights) => {
      expect(weights.names).toHaveLength(21);
      expect(weights.shape('lm_head.weight')).toEqual([320, 64]);
      const loaded = await loadBaseModel(SHARDED);
      expect(await weights.read('lm_head.weight')).toEqual(loaded.weights.get('lm_head.weight'));
    });
  });

  it('refuses use after close', async () => {
    const weights = await openModelWeights(TIED);
    await weights.close();
    await expect(weights.read(EMBEDDING)).rejects.toThrow();
  });
});

describe('strictness', () => {
  it.each<[string, (tensors: Map<string, Tensor>) => void, string]>([
    [
      'missing tensor',
      (tensors) => tensors.delete('model.layers.1.mlp.up_proj.weight'),
      'model.safetensors: tensor model.layers.1.mlp.up_proj.weight is missing',
    ],
    [
      'unexpected layer',
      (tensors) => tensors.set('model.layers.2.mlp.up_proj.weight', { shape: [1], data: new Float32Array(1) }),
      'unexpected tensor model.layers.2.mlp.up_proj.weight: config.json has 2 layers, so there is no layer 2',
    ],
    [
      'unexpected bias',
      (tensors) => tensors.set('model.layers.1.self_attn.q_proj.bias', { shape: [1], data: new Float32Array(1) }),
      'unexpected tensor model.layers.1.self_attn.q_proj.bias: a llama model has no such tensor',
    ],
    [
      'wrong shape',
      (tensors) => tensors.set('model.norm.weight', { shape: [32], data: new Float32Array(32) }),
      'tensor model.norm.weight has shape [32], expected [64] by config.json',
    ],
    [
      'infinite value',
      (tensors) => void (tensors.get('model.norm.weight')!.data[5] = -Infinity),
      'tensor model.norm.weight holds a value that is not finite: -Infinity at flat index 5',
    ],
    [
      'tied head with other values',
      (tensors) => {
        const { shape, data } = tensors.get(EMBEDDING)!;
        tensors.set('lm_head.weight', { shape, data: data.map((value) => value * 2) });
      },
      'tensor lm_head.weight differs from model.embed_tokens.weight',
    ],
  ])('%s is refused', async (_, change, message) => {
    const folder = await changed(change);
    await expect(loadBaseModel(folder)).rejects.toThrow(message);
    await expect(describeBaseModel(folder)).rejects.toThrow(message);
  });

  it('accepts a stored twin of a tied head and rotary frequencies, which change nothing', async () => {
    const folder = await changed((tensors) => {
      tensors.set('lm_head.weight', tensors.get(EMBEDDING)!);
      tensors.set('model.layers.0.self_attn.rotary_emb.inv_freq', { shape: [8], data: new Float32Array(8) });
    });
    const model = await loadBaseModel(folder);
    expect(model.fingerprint).toBe((await loadBaseModel(TIED)).fingerprint);
    expect(model.weights.has('lm_head.weight')).toBe(false);
  });

  it('refuses a head that is missing where nothing ties it', async () => {
    const folder = await copyOf('llama-gqa-tied/base');
    await patchJson(join(folder, 'config.json'), { tie_word_embeddings: false });
    await expect(loadBaseModel(folder)).rejects.toThrow('tensor lm_head.weight is missing');
  });

  it('refuses integer weights', async () => {
    const folder = await copyOf('broken/control/base');
    const bytes = await withSafetensors(join(folder, WEIGHTS), (file) => Promise.resolve(file.header));
    const header = [...bytes.tensors.values()].map(({ name, shape, start, bytes: length }, _, all) => {
      const offset = start - all[0]!.start;
      return [name, { dtype: name === EMBEDDING ? 'I32' : 'F32', shape, data_offsets: [offset, offset + length] }];
    });
    const json = Buffer.from(JSON.stringify(Object.fromEntries(header)));
    const data = [...bytes.tensors.values()].reduce((total, entry) => total + entry.bytes, 0);
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(json.length));
    await writeFile(join(folder, WEIGHTS), Buffer.concat([prefix, json, Buffer.alloc(data)]));
    await expect(loadBaseModel(folder)).rejects.toThrow(`tensor ${EMBEDDING} is I32, supported: F32, F16, BF16`);
  });
});

describe('shards', () => {
  const FIRST = 'model-00001-of-00002.safetensors';
  const INDEX = `${WEIGHTS}.index.json`;

  async function withIndex(change: (map: Record<string, string>) => void): Promise<string> {
    const folder = await copyOf('llama-bf16/base');
    const map = (await readJson(join(folder, INDEX)))['weight_map'] as Record<string, string>;
    change(map);
    await patchJson(join(folder, INDEX), { weight_map: map });
    return folder;
  }

  it.each<[string, (map: Record<string, string>) => void, string]>([
    ['lists too little', (map) => delete map[EMBEDDING], `${FIRST}: unexpected tensor ${EMBEDDING}`],
    ['lists too much', (map) => (map['ghost'] = FIRST), `${FIRST}: tensor ghost is missing`],
    ['swaps shards', (map) => (map['lm_head.weight'] = FIRST), 'places it in model-00001-of-00002.safetensors'],
    ['names a shard that is not there', (map) => (map[EMBEDDING] = 'x.safetensors'), 'x.safetensors: file is missing'],
    ['goes up', (map) => (map[EMBEDDING] = '../copy/x'), 'file name "../copy/x" leaves the model folder'],
    ['goes anywhere', (map) => (map[EMBEDDING] = '/etc/passwd'), 'file name "/etc/passwd" leaves the model folder'],
    ['names the folder', (map) => (map[EMBEDDING] = '..'), 'file name ".." leaves the model folder'],
  ])('refuses an index that %s', async (_, change, message) => {
    await expect(loadBaseModel(await withIndex(change))).rejects.toThrow(message);
  });

  it.each([[[]], [{}], [{ weight_map: { a: 1 } }], [{ weight_map: [] }]])('refuses the index %j', async (index) => {
    const folder = await copyOf('llama-bf16/base');
    await writeFile(join(folder, INDEX), JSON.stringify(index));
    await expect(loadBaseModel(folder)).rejects.toMatchObject({ code: expect.stringMatching(/invalid_index|missing/) });
  });
});

describe('files', () => {
  it('follows no link that leaves the folder, and links inside it', async () => {
    const folder = await copyOf('llama-gqa-tied/base');
    const outside = join(await temporaryFolder(), WEIGHTS);
    await rename(join(folder, WEIGHTS), outside);
    await symlink(outside, join(folder, WEIGHTS));
    await expect(loadBaseModel(folder)).rejects.toMatchObject({ code: 'unsafe_path', file: WEIGHTS });
    await rm(join(folder, WEIGHTS));
    await rename(outside, join(folder, 'blob'));
    await symlink('blob', join(folder, WEIGHTS));
    expect((await loadBaseModel(folder)).weights.size).toBe(20);
  });

  it("follows the links of a snapshot of Hugging Face's cache to the blobs of its model, and no others", async () => {
    const hub = await temporaryFolder();
    const snapshot = join(hub, 'models--acme--assistant', 'snapshots', '0'.repeat(40));
    const blobs = join(hub, 'models--acme--assistant', 'blobs');
    await mkdir(blobs, { recursive: true });
    await cp(await copyOf('llama-gqa-tied/base'), snapshot, { recursive: true });
    await rename(join(snapshot, WEIGHTS), join(blobs, 'hash'));
    await symlink('../../blobs/hash', join(snapshot, WEIGHTS));
    expect((await loadBaseModel(snapshot)).weights.size).toBe(20);
    // Blobs of another model belong to another owner.
    await mkdir(join(hub, 'models--other--model', 'blobs'), { recursive: true });
    await rename(join(blobs, 'hash'), join(hub, 'models--other--model', 'blobs', 'hash'));
    await rm(join(snapshot, WEIGHTS));
    await symlink('../../../models--other--model/blobs/hash', join(snapshot, WEIGHTS));
    await expect(loadBaseModel(snapshot)).rejects.toThrow(
      /leaves the folder of its model in the cache of Hugging Face/,
    );
  });

  it('reads no pickle, and says so', async () => {
    const folder = await copyOf('llama-gqa-tied/base');
    await rename(join(folder, WEIGHTS), join(folder, 'pytorch_model.bin'));
    await expect(loadBaseModel(folder)).rejects.toMatchObject({ code: 'pickle_refused' });
  });

  it.each<[string, (folder: string) => Promise<unknown>, string]>([
    ['no config', (folder) => rm(join(folder, 'config.json')), 'config.json: file is missing'],
    ['no weights', (folder) => rm(join(folder, WEIGHTS)), 'model.safetensors: file is missing, and so is'],
    ['a broken config', (folder) => writeFile(join(folder, 'config.json'), '{'), 'config.json: is not valid JSON'],
    ['a folder as config', replaceConfigByFolder, 'config.json: is not a regular file'],
  ])('refuses a folder with %s', async (_, damage, message) => {
    const folder = await copyOf('llama-gqa-tied/base');
    await damage(folder);
    await expect(loadBaseModel(folder)).rejects.toThrow(message);
  });

  async function replaceConfigByFolder(folder: string): Promise<void> {
    await rm(join(folder, 'config.json'));
    await mkdir(join(folder, 'config.json'));
  }
});
