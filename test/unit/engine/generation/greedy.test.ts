import { describe, expect, it, onTestFinished } from 'vitest';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import { createRuntime } from '../../../../core/engine/create-runtime.ts';
import { argmax } from '../../../../core/engine/generation/draft.ts';
import {
  generateGreedily,
  type GeneratedTokens,
  type GenerationRequest,
} from '../../../../core/engine/generation/greedy.ts';
import { bytesPerToken } from '../../../../core/engine/generation/key-value-cache.ts';
import { Int8Engine } from '../../../../core/engine/int8/int8-engine.ts';
import type { Runtime } from '../../../../core/engine/runtime.ts';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import type { RotaryScaling } from '../../../../core/models/config/model-config.ts';
import { loadGoldenCase } from '../support/golden.ts';
import { randomSource } from '../support/numeric.ts';
import { COMPARED_DEVICES, disposeAfterEach } from '../support/opened-runtimes.ts';
import { randomAdapter, randomBase } from '../support/random-model.ts';
import { atEnds } from '../support/teacher-forced.ts';
import { everyModule, VARIATIONS, variationCase } from '../support/variations.ts';

const opened = disposeAfterEach();
const NO_END = { endIds: new Set<number>() };

/** Most probable continuation of a prompt, by a full forward pass for each token. */
async function continued(runtime: Runtime, adapter: Adapter | null, { promptIds, maxNewTokens }: GenerationRequest) {
  const ids = [...promptIds];
  while (ids.length < promptIds.length + maxNewTokens) {
    ids.push(argmax(await runtime.logits(adapter, atEnds([ids]))));
  }
  return ids.slice(promptIds.length);
}

function randomRequests(vocabSize: number, lengths: readonly number[], maxNewTokens: readonly number[]) {
  const random = randomSource(11);
  const ids = (length: number) => Array.from({ length }, () => Math.floor(random() * vocabSize));
  return lengths.map((length, index) => ({ promptIds: ids(length), maxNewTokens: maxNewTokens[index]! }));
}

/** A runtime that counts its passes and the largest cache that they read. */
function counted(runtime: Runtime) {
  const counts = { prefills: 0, decodes: 0, rows: 0, cacheBytes: 0 };
  const counting: Pick<Runtime, 'base' | 'tokenBudgets' | 'logitRounding' | 'prefill' | 'decode'> = {
    base: runtime.base,
    tokenBudgets: runtime.tokenBudgets,
    logitRounding: runtime.logitRounding,
    prefill(adapter, batch) {
      counts.prefills++;
      return runtime.prefill(adapter, batch);
    },
    decode(adapter, step) {
      counts.decodes++;
      counts.rows = Math.max(counts.rows, step.inputIds.length);
      const bytes = [...step.cache.keys, ...step.cache.values].reduce((sum, { byteLength }) => sum + byteLength, 0);
      counts.cacheBytes = Math.max(counts.cacheBytes, bytes);
      return runtime.decode(adapter, step);
    },
  };
  return { counts, runtime: counting as Runtime };
}

/** Variations of the base or its adapter. */
const MODELS = VARIATIONS.filter(({ config, ranks, dora }, index) => config || ranks || dora || index === 0);

const LENGTHS = [3, 9, 1, 5, 12, 2, 7];
const NEW_TOKENS = [6, 3, 8, 1, 5, 7, 2];

describe.each(COMPARED_DEVICES)('%s: greedy decoding', (device) => {
  const setup = () => {
    const base = randomBase({ slidingWindows: [4, null] });
    const runtime = opened(createRuntime({ device, base, threads: 1 }));
    return { base, runtime, adapter: randomAdapter(base, everyModule) };
  };

  it('gives the tokens of full forward passes, in the order of the requests, whatever shares the cache', async () => {
    const { base, runtime, adapter } = setup();
    const requests = randomRequests(50, LENGTHS, NEW_TOKENS);
    const expected = await Promise.all(requests.map((request) => continued(runtime, adapter, request)));
    for (const maxRows of [1, 2, 3, 32]) {
      const { counts, runtime: counting } = counted(runtime);
      const found = await generateGreedily(counting, adapter, requests, { ...NO_END, maxRows });
      expect(found.map(({ tokenIds }) => tokenIds)).toEqual(expected);
      expect(found.every(({ stop }) => stop === 'max_new_tokens')).toBe(true);
      expect(counts.rows).toBe(Math.min(maxRows, 6));
    }
    const bytes = 2 * 17 * bytesPerToken(base.config);
    const { counts, runtime: counting } = counted(runtime);
    await generateGreedily(counting, adapter, requests, { ...NO_END, cacheBytes: bytes });
    expect(counts.rows).toBe(2);
    expect(counts.cacheBytes).toBeLessThanOrEqual(bytes);
  });

  it('computes prompts once and then one token at a time', async () => {
    const { runtime } = setup();
    const { counts, runtime: counting } = counted(runtime);
    await generateGreedily(counting, null, randomRequests(50, [5, 5, 8], [7, 7, 7]), NO_END);
    expect(counts).toMatchObject({ prefills: 1, decodes: 6, rows: 3 });
  });
});

/** Drafts for texts: right ones, and ones that are wrong from some token on, too long, or of another vocabulary. */
function draftsOf(texts: readonly (readonly number[])[]): number[][] {
  return texts.map((ids, index) => {
    const at = index % (ids.length + 1);
    if (index % 3 === 0) return [...ids, 1, 2, 3];
    return [...ids.slice(0, at), index % 3 === 1 ? (ids[at] ?? 0) + 1 : 9999, ...ids.slice(at + 1)];
  });
}

async function expectDraftsChangeNothing(runtime: Runtime, adapter: Adapter | null): Promise<void> {
  const requests = randomRequests(50, LENGTHS, NEW_TOKENS);
  const plain = await generateGreedily(runtime, adapter, requests, NO_END);
  const ids = plain.map(({ tokenIds }) => tokenIds);
  const drafts = draftsOf(ids);
  const drafted = requests.map((request, index) => ({ ...request, draftIds: drafts[index]! }));
  const end = ids[4]![3]!;
  for (const options of [NO_END, { ...NO_END, maxRows: 2 }, { endIds: new Set([end]) }]) {
    const expected = await generateGreedily(runtime, adapter, requests, options);
    const found = await generateGreedily(runtime, adapter, drafted, options);
    expect(found.map(({ tokenIds, stop }) => ({ tokenIds, stop }))).toEqual(
      expected.map(({ tokenIds, stop }) => ({ tokenIds, stop })),
    );
    expect(found.some(({ draftTokens }) => draftTokens > 0)).toBe(true);
  }
}

describe.each(COMPARED_DEVICES)('%s: drafts change no token', (device) => {
  it.each(MODELS)('$name', async (variation) => {
    const { base, adapter } = variationCase(variation);
    await expectDraftsChangeNothing(opened(createRuntime({ device, base, threads: 1 })), adapter);
  });
});

/** Fails unless the logits of the two tokens at which texts differ first are equal apart from rounding. */
async function expectOnlyTies(
  runtime: Runtime,
  requests: readonly GenerationRequest[],
  [plain, drafted]: readonly [readonly GeneratedTokens[], readonly GeneratedTokens[]],
): Promise<void> {
  for (const [index, { promptIds }] of requests.entries()) {
    const [one, other] = [plain[index]!.tokenIds, drafted[index]!.tokenIds];
    const at = one.findIndex((id, place) => id !== other[place]);
    if (at < 0) continue;
    const logits = await runtime.logits(null, atEnds([[...promptIds, ...one.slice(0, at)]]));
    expect(Math.abs(logits[one[at]!]! - logits[other[at]!]!)).toBeLessThanOrEqual(runtime.logitRounding);
  }
}

describe('with matrices in 8 bits, drafts change only tokens of equal logits apart from rounding', () => {
  it.each(MODELS.filter(({ config }) => config !== undefined))('$name', async (variation) => {
    const { base } = variationCase(variation);
    const engine = await Int8Engine.open({ base, threads: 1, smoothing: new Map() });
    onTestFinished(() => engine.dispose());
    const { runtime } = engine;
    const requests = randomRequests(50, LENGTHS, NEW_TOKENS);
    const plain = await generateGreedily(runtime, null, requests, NO_END);
    const drafts = draftsOf(plain.map(({ tokenIds }) => tokenIds));
    const drafted = requests.map((request, index) => ({ ...request, draftIds: drafts[index]! }));
    const found = await generateGreedily(runtime, null, drafted, NO_END);
    await expectOnlyTies(runtime, requests, [plain, found]);
    expect(found.map(({ tokenIds }) => tokenIds.length)).toEqual(NEW_TOKENS);
    expect(found.some(({ draftTokens }) => draftTokens > 0)).toBe(true);
  });
});

describe('greedy decoding', () => {
  const setup = () => {
    const base = randomBase();
    const runtime = opened(new CompiledRuntime(base, { threads: 1 }));
    return { runtime, request: { promptIds: [4, 8, 15, 16, 23], maxNewTokens: 12 } };
  };

  it('ends a text with an end-of-text token, which is the last of its tokens', async () => {
    const { runtime, request } = setup();
    const tokens = await continued(runtime, null, request);
    const end = tokens[3]!;
    const [found] = await generateGreedily(runtime, null, [request], { endIds: new Set([end, 49]) });
    expect(found).toMatchObject({ tokenIds: tokens.slice(0, tokens.indexOf(end) + 1), stop: 'end_of_text' });
  });

  it('ends a text where its listener says so, and the other texts later', async () => {
    const { runtime, request } = setup();
    const requests = [request, { ...request, promptIds: [1, 2] }];
    const seen: number[][] = [];
    const found = await generateGreedily(runtime, null, requests, {
      ...NO_END,
      onToken(index, tokenIds) {
        if (index === 0) seen.push([...tokenIds]);
        return index === 0 && tokenIds.length === 4 ? 'stop_string' : null;
      },
    });
    const tokens = await continued(runtime, null, request);
    expect(found[0]).toMatchObject({ tokenIds: tokens.slice(0, 4), stop: 'stop_string' });
    expect(seen).toEqual([1, 2, 3, 4].map((length) => tokens.slice(0, length)));
    expect(found[1]).toMatchObject({ tokenIds: await continued(runtime, null, requests[1]!), stop: 'max_new_tokens' });
  });

  it('keeps long texts within the memory limit, except for a single text that needs more', async () => {
    const { runtime } = setup();
    const requests = randomRequests(50, [150, 20, 90], [20, 150, 60]);
    const [{ counts, runtime: counting }, expected] = [
      counted(runtime),
      await generateGreedily(runtime, null, requests, NO_END),
    ];
    const found = await generateGreedily(counting, null, requests, { ...NO_END, cacheBytes: 1 });
    expect(found).toEqual(expected);
    expect(counts.rows).toBe(1);
    expect(counts.cacheBytes).toBeLessThanOrEqual(170 * bytesPerToken(runtime.base.config));
    expect(expected.map(({ tokenIds }) => tokenIds)).toEqual(
      await Promise.all(requests.map((request) => continued(runtime, null, request))),
    );
  });

  it.each<[string, RotaryScaling, Parameters<typeof randomBase>[0]]>([
    ['dynamic', { type: 'dynamic', factor: 4 }, { maxPositionEmbeddings: 8, ropeTheta: 200 }],
    [
      'longrope',
      {
        type: 'longrope',
        factor: 4,
        originalMaxPositionEmbeddings: 9,
        shortFactor: [1, 1.1, 1.3],
        longFactor: [1.5, 2, 3],
        attentionFactor: null,
      },
      { modelType: 'phi3', ropeTheta: 100 },
    ],
  ])('computes a text anew where its growth changes its angles: %s', async (_, ropeScaling, config) => {
    const base = randomBase({ ...config, ropeScaling });
    const runtime = opened(new CompiledRuntime(base, { threads: 1 }));
    const requests = randomRequests(50, [3, 6, 14], [9, 9, 4]);
    const found = await generateGreedily(runtime, null, requests, NO_END);
    expect(found.map(({ tokenIds }) => tokenIds)).toEqual(
      await Promise.all(requests.map((request) => continued(runtime, null, request))),
    );
  });

  it('continues a text past the original length of the stored phi3', async () => {
    const { base, adapter } = await loadGoldenCase('phi3');
    const runtime = opened(new CompiledRuntime(base, { threads: 1 }));
    const request = { promptIds: [3, 1, 4, 1, 5], maxNewTokens: 16 };
    const [found] = await generateGreedily(runtime, adapter, [request], NO_END);
    expect(found!.tokenIds).toEqual(await continued(runtime, adapter, request));
  });

  it('stops between two passes when its signal is aborted', async () => {
    const { runtime, request } = setup();
    const abort = new AbortController();
    const onToken = () => {
      abort.abort(new Error('cancelled'));
      return null;
    };
    await expect(
      generateGreedily(runtime, null, [request], { ...NO_END, onToken, signal: abort.signal }),
    ).rejects.toThrow('cancelled');
  });

  it.each([
    [{ promptIds: [], maxNewTokens: 3 }, 'request 0 has no prompt token, expected at least one'],
    [{ promptIds: [1], maxNewTokens: 0 }, 'maxNewTokens is 0, expected at least 1'],
  ])('refuses %j', async (request, message) => {
    await expect(generateGreedily(setup().runtime, null, [request], NO_END)).rejects.toThrow(message);
  });

  it.each([
    [{ inputIds: Int32Array.of(50) }, 'step.inputIds holds 50, expected 0 to 49'],
    [{ positions: Int32Array.of(3) }, 'step.positions holds 3, expected 0 to 2'],
    [{ positions: Int32Array.of(1, 1) }, 'step.positions has 2 elements, expected 1'],
    [{ cache: { keys: [], values: [] } }, 'step.cache.keys has 0 elements, expected 2'],
    [{ slots: 3 }, 'step.cache.keys[0] has 24 elements, expected 36'],
  ])('refuses a step with %j', async (wrong, message) => {
    const layers = () => [new Float32Array(24), new Float32Array(24)];
    const step = {
      inputIds: Int32Array.of(1),
      positions: Int32Array.of(1),
      cache: { keys: layers(), values: layers() },
      slots: 2,
      doraFactors: new Map<string, Float32Array>(),
    };
    await expect(setup().runtime.decode(null, { ...step, ...wrong })).rejects.toThrow(message);
  });
});
