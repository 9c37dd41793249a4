import { afterAll, expect, it, vi } from 'vitest';
import { exampleOf } from '../../../../core/data/example.ts';
import { meanLoss } from '../../../../core/data/evaluation/measure.ts';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import { createRuntime } from '../../../../core/engine/create-runtime.ts';
import { tokenBudgets } from '../../../../core/engine/devices/token-budgets.ts';
import { DEVICES } from '../../../../core/options/devices.ts';
import { accumulateGradients } from '../../../../core/training/gradients.ts';
import { randomAdapter, randomBase } from '../support/random-model.ts';
import { everyModule } from '../support/variations.ts';

const { config } = randomBase();
const SMOLLM2 = { ...config, numLayers: 30, hiddenSize: 576, intermediateSize: 1536 };
const TINY_LLAMA = { ...config, numLayers: 22, hiddenSize: 2048, intermediateSize: 5632 };
const LLAMA_7B = { ...config, numLayers: 32, hiddenSize: 4096, intermediateSize: 11_008 };
const HUGE = { ...config, numLayers: 200, hiddenSize: 16_384, intermediateSize: 65_536 };

it.each(DEVICES.filter((kind) => !['cuda', 'webgpu'].includes(kind)))('%s has what was measured on CPUs', (kind) => {
  const gradients = [config, SMOLLM2, TINY_LLAMA, HUGE].map((each) => {
    const budgets = tokenBudgets(kind, each);
    expect(budgets).toMatchObject({ forward: 1024, logits: 2 ** 24 });
    return budgets.gradients;
  });
  expect(gradients).toEqual([768, 728, 384, 384]);
});

it.each([
  ['SmolLM2-135M', SMOLLM2, 4096],
  ['TinyLlama-1.1B', TINY_LLAMA, 1765],
  ['Llama-2-7B', LLAMA_7B, 612],
  ['a model whose activations never fit', HUGE, 384],
])('a GPU takes gradients of %s within 4 GiB of activations', (_, model, gradients) => {
  for (const kind of ['cuda', 'webgpu'] as const)
    expect(tokenBudgets(kind, model)).toEqual({ forward: 8192, gradients, logits: 2 ** 26 });
});

it('training and evaluation cut their batches by the budgets of the runtime', async () => {
  const base = randomBase();
  const adapter = randomAdapter(base, everyModule);
  const small = new CompiledRuntime(base);
  const whole = createRuntime({ base });
  afterAll(() => Promise.all([small.dispose(), whole.dispose()]));
  Object.assign(small, { tokenBudgets: { forward: 20, gradients: 10, logits: 4 * config.vocabSize } });
  const calls = { losses: vi.spyOn(small, 'labelLosses'), gradients: vi.spyOn(small, 'gradients') };
  const rows = Array.from({ length: 6 }, (_, i) => {
    return exampleOf([1, 2, 3 + i], [4 + i], { prompt: '', completion: '' });
  });
  await meanLoss(small, adapter, rows);
  await accumulateGradients(small, adapter, rows);
  const labels = (spy: typeof calls.losses | typeof calls.gradients) =>
    spy.mock.calls.map(([, batch]) => batch.labelIds.length);
  expect(labels(calls.losses)).toEqual([4, 2]);
  expect(labels(calls.gradients)).toEqual([3, 3]);
});
