import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EngineCache } from '../../../../core/engine/cache/engine-cache.ts';
import { graphKey } from '../../../../core/engine/cache/graph-key.ts';
import { calibrationBatch } from '../../../../core/engine/int8/calibration-batch.ts';
import {
  choosePrecision,
  expectedPrograms,
  int8Of,
  type PrecisionChoiceOptions,
} from '../../../../core/engine/int8/choose-precision.ts';
import { MIN_SPEED_UP } from '../../../../core/engine/int8/compare-with-float32.ts';
import { MAX_LOSS_CHANGE } from '../../../../core/engine/int8/int8-errors.ts';
import {
  cacheSpeedUp,
  cacheVerdict,
  cachedSpeedUp,
  cachedVerdict,
  type PrecisionChoice,
} from '../../../../core/engine/int8/precision-choice.ts';
import { RoundedStore } from '../../../../core/engine/int8/rounding/rounded-store.ts';
import { loadBaseModel } from '../../../../core/formats/hugging-face/hugging-face-model.ts';
import { loadTokenizer, type Tokenizer } from '../../../../core/formats/tokenizer/tokenizer.ts';
import { TracingThread } from '../../../../core/engine/tracer/tracing-thread.ts';
import type { BaseModel } from '../../../../core/models/base-model.ts';
import type { ModelConfig } from '../../../../core/models/config/model-config.ts';
import { BASE } from '../../training/support/tiny-task.ts';
import { randomBase } from '../support/random-model.ts';

let folder: string;
let base: BaseModel;
let tokenizer: Tokenizer;

/** A config large enough for `auto` to compare. */
let largeConfig: ModelConfig;

beforeAll(async () => {
  [base, tokenizer] = await Promise.all([loadBaseModel(BASE), loadTokenizer(BASE)]);
  const heads = { numHeads: 8, numKeyValueHeads: 8, headDim: 64 };
  const widths = { vocabSize: tokenizer.vocabSize, hiddenSize: 512, intermediateSize: 2048 };
  largeConfig = randomBase({ ...heads, ...widths, numLayers: 4 }).config;
});
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), 'readapt-cache-'))));
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A base that cannot be computed with, because it has no weights. */
const unreadable = (model: BaseModel): BaseModel => ({ ...model, weights: new Map() });

/** Options of a newly started process. */
const options = (other: Partial<PrecisionChoiceOptions> = {}): PrecisionChoiceOptions => ({
  base,
  tokenizer,
  threads: 1,
  cache: new EngineCache(folder),
  store: new RoundedStore(path.join(folder, 'int8')),
  ...other,
});

async function choiceOf(choose: typeof int8Of, chosenFor: PrecisionChoiceOptions): Promise<PrecisionChoice> {
  const { choice, engine } = await choose(chosenFor);
  await engine?.dispose();
  return choice;
}

const figures = (text: string) =>
  /(?:is ([\d.]+) times as fast and )?moves losses by ([\d.]+) %/.exec(text)!.slice(1).map(Number) as [number, number];

describe('int8Of', () => {
  it('is kept for later processes, and warns where it would not have been chosen', async () => {
    const made = await choiceOf(int8Of, options());
    expect(made.precision).toBe('int8');
    expect(made.warning).toBe(
      'int8 would not have been chosen: 0.1 million weights in layers are too few for int8 to pay',
    );
    expect(await choiceOf(int8Of, options({ base: unreadable(base) }))).toEqual(made);
  });

  it('is judged anew for another base, other threads, and where the entry is damaged', async () => {
    const choose = (other: Partial<BaseModel>, threads = 1) =>
      choiceOf(int8Of, options({ base: { ...unreadable(base), ...other }, threads }));
    await choose(base);
    await choose({});
    await expect(choose({ fingerprint: 'another' })).rejects.toThrow();
    await expect(choose({}, 2)).rejects.toThrow();
    for (const name of await readdir(folder)) {
      if (name.endsWith('.entry')) await writeFile(path.join(folder, name), 'damaged');
    }
    await expect(choose({})).rejects.toThrow();
  });
});

describe('choosePrecision', () => {
  it('measures nothing on a base that is too small to gain', async () => {
    const choice = await choiceOf(choosePrecision, options({ base: unreadable(base) }));
    expect(choice).toEqual({
      precision: 'f32',
      reason: '0.1 million weights in layers are too few for int8 to pay',
      warning: null,
    });
    expect(await readdir(folder)).toEqual([]);
  });

  it('chooses by speed and losses, says both, and measures once', async () => {
    const large = randomBase(largeConfig);
    const choice = await choiceOf(choosePrecision, options({ base: large }));
    const { fingerprint } = large;
    const { inputIds } = calibrationBatch(tokenizer);
    // The message rounds the speedup; 1.28 is not enough.
    const verdict = await cachedVerdict(new EngineCache(folder), { fingerprint, inputIds, threads: 1 });
    const { speedUp, losses } = verdict!;
    expect(figures(choice.reason)).toEqual([Number(speedUp.toFixed(1)), Number((100 * losses).toFixed(1))]);
    const passes = speedUp >= MIN_SPEED_UP && losses <= MAX_LOSS_CHANGE;
    expect(choice.precision).toBe(passes ? 'int8' : 'f32');
    expect(await choiceOf(choosePrecision, options({ base: unreadable(large) }))).toEqual(choice);
    // When int8 is requested, it warns where `auto` would not have chosen it.
    const asked = await choiceOf(int8Of, options({ base: passes ? unreadable(large) : large }));
    expect(asked.warning === null).toBe(passes);
  });

  it('takes the speed of another base of the config, whose exactness says nothing about it', async () => {
    const cache = new EngineCache(folder);
    const { inputIds } = calibrationBatch(tokenizer);
    await cacheSpeedUp(cache, { config: largeConfig, inputIds, threads: 1 }, 98.7);
    const choice = await choiceOf(choosePrecision, options({ base: randomBase(largeConfig), cache }));
    const [speedUp, losses] = figures(choice.reason);
    expect([choice.precision, speedUp]).toEqual(['int8', 98.7]);
    expect(losses).toBeGreaterThan(0);
  });

  it('keeps a speed only where int8 is fast enough, since a busy moment may have slowed it down', async () => {
    const cache = new EngineCache(folder);
    await choiceOf(int8Of, options({ cache }));
    const { inputIds } = calibrationBatch(tokenizer);
    const known = await cachedSpeedUp(cache, { config: base.config, inputIds, threads: 1 });
    expect(known ?? Infinity).toBeGreaterThanOrEqual(MIN_SPEED_UP);
  });

  it('runs the programs that it said it would, in that order', async () => {
    const taken: string[] = [];
    const tracer = new TracingThread();
    tracer.take = ({ spec, provider }) => {
      taken.push(graphKey(spec, provider));
      return Promise.resolve(null);
    };
    await choiceOf(int8Of, options({ tracer }));
    const expected = expectedPrograms(base.config, 'int8').map(({ spec, provider }) => graphKey(spec, provider));
    expect(taken).toEqual(expected);
    expect(new Set(taken).size).toBe(2);
    expect(expectedPrograms(base.config, 'auto')).toEqual([]);
  });
});

describe('choosePrecision without memory for float32', () => {
  it('takes int8 where float32 would be chosen, and says so', async () => {
    const large = randomBase({ vocabSize: tokenizer.vocabSize, hiddenSize: 1024, intermediateSize: 4096 });
    const cache = new EngineCache(folder);
    const { inputIds } = calibrationBatch(tokenizer);
    const slow = { speedUp: 1, losses: 0.01, smoothing: new Map() };
    await cacheVerdict(cache, { fingerprint: large.fingerprint, inputIds, threads: 1 }, slow);
    const why = 'int8 is 1.0 times as fast and moves losses by 1.0 %, expected at least 1.3 times';
    const choose = (holdsFloat32: boolean) =>
      choiceOf(choosePrecision, options({ base: large, cache, store: null, holdsFloat32 }));
    expect(await choose(true)).toEqual({ precision: 'f32', reason: why, warning: null });
    const reason = 'float32 would be chosen, but does not fit into the memory';
    expect(await choose(false)).toEqual({ precision: 'int8', reason, warning: `${reason}: ${why}` });
  });
});
