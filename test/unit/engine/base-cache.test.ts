import { cp, readFile, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PrecisionSetting } from '../../../core/options/precisions.ts';
import { FormatError } from '../../../core/formats/errors.ts';
import { loadBaseModel } from '../../../core/formats/hugging-face/hugging-face-model.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import { createAdapter } from '../../../core/models/lora/lora-init.ts';
import { accumulateGradients } from '../../../core/training/gradients.ts';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import { tokenizeRows } from '../../../core/data/tokenize.ts';
import { relativeError } from './support/numeric.ts';
import { createTinyFamily, removeTinyFamily, tasteRows, type TinyFamily } from '../training/support/tiny-task.ts';

let family: TinyFamily;
let bases: BaseCache;

beforeAll(async () => {
  family = await createTinyFamily();
  bases = new BaseCache({ device: 'tfjs-cpu' });
});
afterAll(async () => {
  await bases.dispose();
  await removeTinyFamily(family);
});

describe('BaseCache', () => {
  it('keeps both versions warm and lets go of the one unused for longest', async () => {
    const old = await bases.load(family.oldBase);
    const next = await bases.load(family.newBase);
    expect(next.model.fingerprint).not.toBe(old.model.fingerprint);
    expect(next.tokenizerHash).toBe(old.tokenizerHash);
    expect(await bases.load(family.oldBase)).toBe(old);

    const third = path.join(family.folder, 'v3');
    await cp(family.newBase, third, { recursive: true });
    await bases.load(third);
    expect(await bases.load(family.oldBase)).toBe(old);
    expect(await bases.load(family.newBase)).not.toBe(next);
  });

  it('loads a folder anew whose files were replaced', async () => {
    const before = await bases.load(family.newBase);
    const weights = path.join(family.newBase, 'model.safetensors');
    const bytes = await readFile(weights);
    bytes.writeFloatLE(0.125, bytes.length - 4);
    await writeFile(weights, bytes);
    await utimes(weights, new Date(), new Date(Date.now() + 5000));
    const after = await bases.load(family.newBase);
    expect(after.model.fingerprint).not.toBe(before.model.fingerprint);
  });

  it('fails with the reason every time for a folder that cannot be loaded', async () => {
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(bases.load(family.adapter)).rejects.toThrow(FormatError);
      await expect(bases.load('/nowhere')).rejects.toThrow('/nowhere: folder does not exist');
    }
  });
});

describe('BaseCache in 8 bits', () => {
  /** Wide enough for int8: narrow products are joined with others and stay in float32. */
  const WIDE = path.join(import.meta.dirname, '../../../examples/demo-family/v1');

  /** Computes losses and gradients of an adapter on the base, in one process after the other. */
  async function computed(precision: PrecisionSetting, adapter: Adapter) {
    const own = new BaseCache({ precision, threads: 1 });
    try {
      const { runtime, tokenizer, model } = await own.load(WIDE);
      const examples = tokenizeRows(tasteRows(8), { tokenizer, config: model.config });
      const { gradients, loss } = await accumulateGradients(runtime, adapter, examples);
      return { loss, gradients: [...gradients.values()].map(({ a, b }) => [...a, ...b]).flat(), model };
    } finally {
      await own.dispose();
    }
  }

  it.each([
    ['LoRA', false],
    ['DoRA', true],
  ])('trains %s near float32, on a base whose matrices are no longer in memory', async (_, useDora) => {
    const { config, weights } = await loadBaseModel(WIDE);
    const adapter = createAdapter({
      base: config,
      weights,
      useDora,
      targetModules: 'all-linear',
      rank: 4,
      alpha: 8,
      seed: 3,
    });
    const [exact, rounded] = [await computed('f32', adapter), await computed('int8', adapter)];
    expect(rounded.loss).not.toBe(exact.loss);
    expect(Math.abs(rounded.loss / exact.loss - 1)).toBeLessThan(0.02);
    expect(relativeError(Float32Array.from(rounded.gradients), Float32Array.from(exact.gradients))).toBeLessThan(0.2);
    expect(exact.model.weights).toBeInstanceOf(Map);
    expect(() => rounded.model.weights.get('model.layers.0.mlp.up_proj.weight')).toThrow('model.safetensors is closed');
  });
});
