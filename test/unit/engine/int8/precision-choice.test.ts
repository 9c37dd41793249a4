import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EngineCache } from '../../../../core/engine/cache/engine-cache.ts';
import {
  choosePrecision,
  int8Of,
  LARGEST_CHANGE,
  LEAST_SPEED_UP,
} from '../../../../core/engine/int8/choose-precision.ts';
import { isLayerMatrix } from '../../../../core/engine/int8/inputs.ts';
import { loadBaseModel } from '../../../../core/formats/hugging-face/hugging-face-model.ts';
import { loadTokenizer, type Tokenizer } from '../../../../core/formats/tokenizer/tokenizer.ts';
import type { BaseModel } from '../../../../core/models/base-model.ts';
import { BASE } from '../../training/support/tiny-task.ts';
import { randomBase } from '../support/random-model.ts';

let folder: string;
let base: BaseModel;
let tokenizer: Tokenizer;

beforeAll(async () => void ([base, tokenizer] = await Promise.all([loadBaseModel(BASE), loadTokenizer(BASE)])));
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), 'readapt-cache-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A base that nothing can be computed with, because it has no weights. */
const unreadable = (model: BaseModel): BaseModel => ({ ...model, weights: new Map() });

describe('int8Of', () => {
  it('is kept for later processes, bit by bit', async () => {
    const made = await int8Of({ base, tokenizer, threads: 1, cache: new EngineCache(folder) });
    expect(made.smoothing!.get('model.layers.1.mlp.down_proj.weight')).toHaveLength(base.config.intermediateSize);
    expect([...made.smoothing!.keys()].filter((name) => !isLayerMatrix(name))).toEqual([]);
    const kept = await int8Of({ base: unreadable(base), tokenizer, threads: 1, cache: new EngineCache(folder) });
    expect(kept).toEqual(made);
  });

  it('is made anew for another base, other threads, and where the entry is damaged', async () => {
    const cache = new EngineCache(folder);
    const choose = (other: Partial<BaseModel>, threads = 1) =>
      int8Of({ base: { ...unreadable(base), ...other }, tokenizer, threads, cache });
    await choose(base);
    await choose({});
    await expect(choose({ fingerprint: 'another' })).rejects.toThrow();
    await expect(choose({}, 2)).rejects.toThrow();
    for (const name of await readdir(folder)) await writeFile(path.join(folder, name), 'damaged');
    await expect(choose({})).rejects.toThrow();
  });
});

describe('choosePrecision', () => {
  it('measures nothing on a base that is too small to gain', async () => {
    const choice = await choosePrecision({
      base: unreadable(base),
      tokenizer,
      threads: 1,
      cache: new EngineCache(folder),
    });
    expect(choice).toEqual({ precision: 'f32', reason: '0.1 million weights in layers are too few for int8 to pay' });
    expect(await readdir(folder)).toEqual([]);
  });

  it('chooses by speed and change of the losses, says both, and measures once', async () => {
    const vocabSize = tokenizer.vocabSize;
    const large = randomBase({
      vocabSize,
      hiddenSize: 512,
      intermediateSize: 2048,
      numLayers: 4,
      numHeads: 8,
      numKeyValueHeads: 8,
      headDim: 64,
    });
    const choice = await choosePrecision({ base: large, tokenizer, threads: 1, cache: new EngineCache(folder) });
    const [, speedUp, change] = /^int8 is ([\d.]+) times as fast and moves losses by ([\d.]+) %/
      .exec(choice.reason)!
      .map(Number);
    const passes = speedUp! >= LEAST_SPEED_UP && change! / 100 <= LARGEST_CHANGE;
    expect(choice.precision).toBe(passes ? 'int8' : 'f32');
    expect(choice.smoothing !== undefined).toBe(passes);
    expect(
      await choosePrecision({ base: unreadable(large), tokenizer, threads: 1, cache: new EngineCache(folder) }),
    ).toEqual(choice);
  });
});
