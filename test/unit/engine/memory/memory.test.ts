import { mkdtemp, rm } from 'node:fs/promises';
import os, { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineCache } from '../../../../core/engine/cache/engine-cache.ts';
import { calibrationBatch } from '../../../../core/engine/int8/calibration-batch.ts';
import { cacheVerdict } from '../../../../core/engine/int8/precision-choice.ts';
import { loadBaseModel } from '../../../../core/formats/hugging-face/hugging-face-model.ts';
import { loadTokenizer } from '../../../../core/formats/tokenizer/tokenizer.ts';
import { saveRandomBase } from '../support/saved-base.ts';
import { BaseCache } from '../../../../core/engine/base-cache.ts';
import { activationBytes, adaptedWidths, recomputeWithin } from '../../../../core/engine/memory/activation-memory.ts';
import { baseBytes } from '../../../../core/engine/memory/base-memory.ts';
import { availableMemory, largestMemory, PROCESS_BYTES } from '../../../../core/engine/memory/process-memory.ts';
import { tokenLimit } from '../../../../core/engine/memory/token-limits.ts';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import { disposeAfterEach } from '../support/opened-runtimes.ts';
import { asDora, randomAdapter, randomBase } from '../support/random-model.ts';
import { everyModule } from '../support/variations.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../../training/support/tiny-task.ts';

const base = randomBase();
const { config } = base;
const adapter = randomAdapter(base, everyModule);
const adapted = adaptedWidths(adapter);
const opened = disposeAfterEach();

describe('what a call needs', () => {
  const bytes = (tokens: number, recompute: 'cheap' | 'scores' | 'layers', widths = adapted) =>
    activationBytes({ config, kind: 'gradients', adapted: widths, recompute }, { tokens, longest: tokens, labels: 4 });

  it('grows with tokens, with DoRA and with dropout, and shrinks with what is computed again', () => {
    expect(bytes(600, 'cheap')).toBeGreaterThan(bytes(300, 'cheap'));
    expect(bytes(300, 'cheap')).toBeGreaterThan(bytes(300, 'scores'));
    expect(bytes(300, 'scores')).toBeGreaterThan(bytes(300, 'layers'));
    expect(bytes(300, 'scores', adaptedWidths(asDora(adapter)))).toBeGreaterThan(bytes(300, 'scores'));
    expect(bytes(300, 'cheap', adaptedWidths(adapter, true))).toBeGreaterThan(bytes(300, 'cheap'));
  });

  it('decides what gradients compute again', () => {
    const sizes = { tokens: 300, longest: 300, labels: 4 };
    const chosen = (limit: number) => recomputeWithin(limit, { config, adapted }, sizes);
    expect(chosen(bytes(300, 'cheap'))).toBe('cheap');
    expect(chosen(bytes(300, 'cheap') - 1)).toBe('scores');
    expect(chosen(bytes(300, 'scores') - 1)).toBe('layers');
    expect(chosen(0)).toBe('layers');
  });

  it('decides how many tokens go through the model at once', () => {
    const runtime = opened(new CompiledRuntime(base));
    const limit = (activations: number) => {
      runtime.activationBytes = activations;
      return tokenLimit(runtime, { kind: 'gradients', adapted, most: 384, labels: 4 });
    };
    expect(limit(Infinity)).toBe(384);
    expect(limit(bytes(384, 'cheap'))).toBe(384);
    expect(limit(bytes(384, 'cheap') - 1)).toBe(192);
    expect(limit(0)).toBe(24);
  });
});

describe('what a base needs', () => {
  it('is four bytes a weight, and in int8 two bytes a weight of the layers', () => {
    const weights = [...base.weights].map(([name, { data }]) => ({ name, size: data.length }));
    const total = (sizes: readonly { readonly size: number }[]) => sizes.reduce((sum, { size }) => sum + size, 0);
    const layers = weights.filter(({ name }) => name.endsWith('proj.weight'));
    expect(baseBytes(config, 'f32')).toBe(4 * total(weights));
    const scales = baseBytes(config, 'int8') - 4 * (total(weights) - total(layers)) - 2 * total(layers);
    expect(scales).toBeGreaterThan(0);
    expect(baseBytes(config, 'int8') - baseBytes(config, 'int8', false)).toBeGreaterThan(total(layers));
  });

  it('is with `auto` that of int8, except for a base that is too small for it', () => {
    const large = { ...config, hiddenSize: 1024, intermediateSize: 4096 };
    expect(baseBytes(large, 'auto')).toBe(baseBytes(large, 'int8'));
    expect(baseBytes(config, 'auto')).toBe(baseBytes(config, 'f32'));
  });
});

describe('what there is', () => {
  it('is the least of the setting and what the machine has', () => {
    expect(availableMemory(2 ** 28)).toEqual({ bytes: 2 ** 28, source: 'READAPT_MEMORY' });
    expect(availableMemory(2 ** 60).source).not.toBe('READAPT_MEMORY');
    expect(availableMemory(null).bytes).toBeLessThanOrEqual(largestMemory(null).bytes);
    expect(largestMemory(null).bytes).toBeLessThanOrEqual(os.totalmem());
  });
});

describe('a cache of bases with little memory', () => {
  let family: TinyFamily;
  beforeAll(async () => {
    family = await createTinyFamily();
  });
  afterAll(() => removeTinyFamily(family));

  it('releases one base for the other, and gives what is left to activations', async () => {
    const { config: tiny } = await new BaseCache().describe(family.newBase);
    const bytes = PROCESS_BYTES + 2 * baseBytes(tiny, 'f32') - 1;
    const bases = new BaseCache({ threads: 1, memory: () => ({ bytes, source: 'a test' }) });
    const old = await bases.load(family.oldBase);
    expect(old.runtime.activationBytes).toBe(baseBytes(tiny, 'f32') - 1);
    const next = await bases.load(family.newBase);
    expect(next.runtime.activationBytes).toBe(baseBytes(tiny, 'f32') - 1);
    expect(await bases.load(family.newBase)).toBe(next);
    expect(await bases.load(family.oldBase)).not.toBe(old);
    bases.memory.reserve({ kept: 100, working: 0, differentiated: true });
    expect((await bases.load(family.oldBase)).runtime.activationBytes).toBe(baseBytes(tiny, 'f32') - 101);
    await bases.dispose();
  });

  it('keeps both where both fit, and describes a base without loading it', async () => {
    const bases = new BaseCache({ threads: 1, memory: () => ({ bytes: 2 ** 32, source: 'a test' }) });
    const described = await bases.describe(family.oldBase);
    const old = await bases.load(family.oldBase);
    await bases.load(family.newBase);
    expect(await bases.load(family.oldBase)).toBe(old);
    expect(described).toMatchObject({ folder: old.folder, config: old.model.config, tokenizerHash: old.tokenizerHash });
    await bases.dispose();
  });
});

describe('a cache of bases with `auto`', () => {
  const sizes = { hiddenSize: 1024, intermediateSize: 4096, vocabSize: 512, numHeads: 16, headDim: 64 };
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'readapt-memory-'));
    await saveRandomBase(path.join(folder, 'base'), sizes);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('hands out float32 only while there is memory for it beside what a job needs', async () => {
    const [from, cache] = [path.join(folder, 'base'), path.join(folder, 'cache')];
    const { fingerprint, config } = await loadBaseModel(from);
    const { inputIds } = calibrationBatch(await loadTokenizer(from));
    const slow = { speedUp: 1, losses: 0.01, gradients: 0.1, smoothing: new Map() };
    await cacheVerdict(new EngineCache(cache), { fingerprint, inputIds, threads: 1 }, slow);
    const bytes = PROCESS_BYTES + baseBytes(config, 'f32') + 1000;
    const memory = () => ({ bytes, source: 'a test' });
    const options = { precision: 'auto', threads: 1, graphCacheDir: cache, memory } as const;
    const job = (working: number) => ({ kept: 0, working, differentiated: true });
    for (const isLoaded of [true, false]) {
      const bases = new BaseCache(options);
      bases.memory.reserve(job(1000));
      if (isLoaded) expect((await bases.load(from)).precision.precision).toBe('f32');
      bases.memory.reserve(job(1001));
      expect((await bases.load(from)).precision.precision, `loaded before: ${isLoaded}`).toBe('int8');
      bases.memory.reserve(job(1000));
      expect((await bases.load(from, 'f32')).precision.precision).toBe('f32');
      await bases.dispose();
    }
  });
});
