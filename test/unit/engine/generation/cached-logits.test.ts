import { describe, expect, it } from 'vitest';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import { createRuntime } from '../../../../core/engine/create-runtime.ts';
import { executionProviderOf } from '../../../../core/engine/devices/execution-provider.ts';
import type { Runtime } from '../../../../core/engine/runtime.ts';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import { loadGoldenCase } from '../support/golden.ts';
import { largestDifference, randomSource } from '../support/numeric.ts';
import { COMPARED_DEVICES, disposeAfterEach } from '../support/opened-runtimes.ts';
import { cachedLogits, fullLogits } from '../support/teacher-forced.ts';
import { VARIATIONS, variationCase } from '../support/variations.ts';

const opened = disposeAfterEach();
const STEPS = 3;

/** Texts of 5 to 13 tokens, some with the same beginning. */
function randomTexts(vocabSize: number): number[][] {
  const random = randomSource(5);
  const ids = (length: number) => Array.from({ length }, () => Math.floor(random() * vocabSize));
  const shared = ids(4);
  return [ids(6), [...shared, ...ids(5)], ids(13), [...shared, ...ids(1)]];
}

async function expectCachedLikeFull(runtime: Runtime, adapter: Adapter | null, tolerance: number): Promise<void> {
  const texts = randomTexts(runtime.base.config.vocabSize);
  const cached = await cachedLogits(runtime, adapter, texts, STEPS);
  const full = await fullLogits(runtime, adapter, texts, STEPS);
  expect(cached).toHaveLength(STEPS + 1);
  for (const [step, logits] of cached.entries()) {
    expect(largestDifference(logits, full[step]!), `step ${step}`).toBeLessThan(tolerance);
  }
}

/** Variations of the base or its adapter. Those of the batch do not matter to texts of this file's own. */
const MODELS = VARIATIONS.filter(({ config, ranks, dora }, index) => config || ranks || dora || index === 0);
/** First variation of each base, which is compared without its adapter too. */
const NEW_BASES = MODELS.filter(({ config }, index) => MODELS.findIndex((each) => each.config === config) === index);

describe.each(COMPARED_DEVICES)(
  '%s: logits from cached keys and values are those of the full forward pass',
  (device) => {
    it.each(MODELS)('$name', async (variation) => {
      const { base, adapter } = variationCase(variation);
      const runtime = opened(createRuntime({ device, base, threads: 1 }));
      await expectCachedLikeFull(runtime, adapter, 5e-5);
      if (NEW_BASES.includes(variation)) await expectCachedLikeFull(runtime, null, 5e-5);
    });

    it.each(['llama-gqa-tied', 'llama-dora', 'mistral', 'qwen2', 'qwen3', 'gemma2', 'gemma3'])(
      'of the stored model %s',
      async (name) => {
        const { base, adapter } = await loadGoldenCase(name);
        await expectCachedLikeFull(opened(createRuntime({ device, base, threads: 1 })), adapter, 5e-5);
      },
    );
  },
);

it('gives logits from cached keys and values that are those of the full pass with an int8 base', async () => {
  for (const name of ['qwen3', 'gemma2']) {
    const { base, adapter } = await loadGoldenCase(name);
    const runtime = opened(new CompiledRuntime(base, { threads: 1, provider: executionProviderOf('cpu', 'int8') }));
    // Each row of a product is quantized separately, so the two ways differ by float32 rounding and a quantization
    // step.
    await expectCachedLikeFull(runtime, adapter, 0.02);
  }
});
