import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { IncompatibleBasesError } from '../../../core/adaptation/evolutions.ts';
import { makeProvisional, type ProvisionalSpec } from '../../../core/adaptation/provisional.ts';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import { loadBaseModel } from '../../../core/formats/hugging-face/hugging-face-model.ts';
import { readAdapterManifest, verifyAdapterFiles } from '../../../core/formats/peft/adapter-manifest.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import { saveAdapter } from '../../../core/formats/peft/peft-adapter-writer.ts';
import { readAdapterConfig } from '../../../core/formats/peft/peft-config.ts';
import { createAdapter } from '../../../core/models/lora/lora-init.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../training/support/tiny-task.ts';

let family: TinyFamily;
let bases: BaseCache;

beforeAll(async () => {
  family = await createTinyFamily();
  bases = new BaseCache({ threads: 1 });
});
afterAll(async () => {
  await bases.dispose();
  await removeTinyFamily(family);
});

async function make(name: string, changes: Partial<ProvisionalSpec> = {}, signal = new AbortController().signal) {
  const { oldBase, newBase, adapter, folder } = family;
  const given = { oldBase, newBase, adapter, newBaseName: 'org/new-base', parent: 'adv_old', evolution: null };
  const spec = { ...given, strategy: 'revert', outDir: path.join(folder, name), ...changes } as const;
  return makeProvisional(bases, spec, signal);
}

describe('an adapter that is carried over without data', () => {
  it('is the old one by reuse, for the new base, with what is known of its rows', async () => {
    const adapter = path.join(family.folder, 'known');
    const { config, fingerprint } = await loadBaseModel(family.oldBase);
    const targets = { targetModules: ['q_proj'], rank: 2, alpha: 4, seed: 3 };
    const old = createAdapter({ base: config, ...targets });
    const manifest = { baseFingerprint: fingerprint, strategy: 'train', appendEos: true, maxLength: 64 };
    await saveAdapter(adapter, old, { baseModelName: 'org/old', manifest });
    expect(await make('copied', { adapter, strategy: 'reuse' })).toMatchObject({ alpha: 1, beta: 0 });
    const made = path.join(family.folder, 'copied');
    await verifyAdapterFiles(made);
    expect((await loadAdapter(made, config)).modules).toEqual((await loadAdapter(adapter, config)).modules);
    const { fingerprint: baseFingerprint } = await loadBaseModel(family.newBase);
    expect(await readAdapterManifest(made)).toMatchObject({
      ...{ provisional: true, strategy: 'reuse', parent: 'adv_old', appendEos: true, maxLength: 64, baseFingerprint },
    });
    expect((await readAdapterConfig(made)).baseModelName).toBe('org/new-base');
  });

  it('keeps its kind by revert, also a DoRA', async () => {
    const adapter = path.join(family.folder, 'dora');
    const { config, weights } = await loadBaseModel(family.oldBase);
    const kind = { targetModules: ['q_proj', 'down_proj'], rank: 2, alpha: 4, useDora: true, seed: 3 };
    await saveAdapter(adapter, createAdapter({ base: config, weights, ...kind }));
    expect(await make('reverted', { adapter })).toMatchObject({ alpha: 1, beta: -1 });
    const made = path.join(family.folder, 'reverted');
    const { config: found, modules } = await loadAdapter(made, config);
    expect(found).toMatchObject({ rank: 2, useDora: true });
    expect(modules).not.toEqual((await loadAdapter(adapter, config)).modules);
  });
});

describe('nothing is written', () => {
  const isWritten = (name: string) =>
    readFile(path.join(family.folder, name, 'adapter_config.json')).then(
      () => true,
      () => false,
    );

  it('where the bases do not fit', async () => {
    const newBase = path.join(family.folder, 'other-heads');
    await cp(family.newBase, newBase, { recursive: true });
    const file = path.join(newBase, 'config.json');
    const config = JSON.parse(await readFile(file, 'utf8')) as object;
    await writeFile(file, JSON.stringify({ ...config, num_attention_heads: 1, num_key_value_heads: 1, head_dim: 8 }));
    await expect(make('unfit', { newBase, strategy: 'reuse' })).rejects.toThrow(IncompatibleBasesError);
    expect(await isWritten('unfit')).toBe(false);
  });

  it('where the adapter cannot be read, and where it is cancelled', async () => {
    const adapter = path.join(family.folder, 'without-weights');
    await cp(family.adapter, adapter, { recursive: true });
    await rm(path.join(adapter, 'adapter_model.safetensors'));
    await expect(make('unread', { adapter })).rejects.toMatchObject({ code: 'missing_file' });
    await expect(make('cancelled', {}, AbortSignal.abort(new Error('not wanted')))).rejects.toThrow('not wanted');
    expect([await isWritten('unread'), await isWritten('cancelled')]).toEqual([false, false]);
  });
});
