import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, RUNTIME_KINDS } from '../../../workers/engine/create-runtime.ts';
import { factorKey } from '../../../workers/formats/peft-keys.ts';
import type { TrainableArrays } from '../../../workers/models/adapter.ts';
import { trainableArrays } from '../../../workers/models/trainable-arrays.ts';
import { adamwInit, adamwUpdate, type AdamwStep } from '../../../workers/engine/optimiser/adamw.ts';
import { factorArrays, withFactorArrays } from '../../../workers/engine/optimiser/factors.ts';
import type { Runtime } from '../../../workers/engine/runtime.ts';
import { everyPositionBatch, labelBatch, loadGoldenCase, values, type GoldenCase } from './support/golden.ts';
import { largestDifference, relativeError, sum } from './support/numeric.ts';

const LLAMA = ['llama-gqa-tied', 'llama-bf16', 'llama-patterns', 'llama-qv-rslora', 'llama-dora'];
const CASES = [...LLAMA, 'mistral', 'qwen2', 'qwen3'];

describe.each(RUNTIME_KINDS)('%s runtime against transformers and PEFT', (kind) => {
  describe.each(CASES)('%s', (name) => {
    let fixture: GoldenCase;
    let runtime: Runtime;

    beforeAll(async () => {
      fixture = await loadGoldenCase(name);
      runtime = createRuntime({ kind, base: fixture.base });
    });
    afterAll(() => runtime.dispose());

    it.each(['base', 'adapter'])('gives the logits and loss of the %s', async (which) => {
      const adapter = which === 'adapter' ? fixture.adapter : null;
      const positions = everyPositionBatch(fixture.golden);
      const vocab = fixture.base.config.vocabSize;
      const expected = [...positions.paddedPositions].flatMap((position) =>
        Array.from(values(fixture.golden, `${which}.logits`).subarray(position * vocab, (position + 1) * vocab)),
      );
      expect(largestDifference(await runtime.logits(adapter, positions), expected)).toBeLessThan(1e-4);

      const batch = labelBatch(fixture.golden);
      const losses = await runtime.labelLosses(adapter, batch);
      const loss = values(fixture.golden, `${which}.loss`)[0]!;
      expect(Math.abs(sum(losses) / losses.length / loss - 1)).toBeLessThan(1e-5);
    });

    it('gives the gradients of every factor', async () => {
      const batch = labelBatch(fixture.golden);
      const labels = batch.labelTargets.length;
      const { lossSum, gradients } = await runtime.gradients(fixture.adapter, batch, 1 / labels);
      const loss = values(fixture.golden, 'adapter.loss')[0]!;
      expect(Math.abs(lossSum / labels / loss - 1)).toBeLessThan(1e-5);
      expect([...gradients.keys()]).toEqual([...fixture.adapter.modules.keys()]);
      expectArrays(gradients, fixture, 'grad');
    });

    it('trains five AdamW steps as PyTorch does', async () => {
      const batch = labelBatch(fixture.golden);
      const labels = batch.labelTargets.length;
      const parameters = factorArrays(fixture.adapter.modules);
      let step: AdamwStep = { parameters, state: adamwInit(parameters) };
      const losses: number[] = [];
      for (let taken = 0; taken < 5; taken++) {
        const adapter = withFactorArrays(fixture.adapter, step.parameters);
        const { lossSum, gradients } = await runtime.gradients(adapter, batch, 1 / labels);
        losses.push(lossSum / labels);
        step = adamwUpdate(step, factorArrays(gradients), 1e-2, { weightDecay: 0.01 });
      }
      expect(largestDifference(losses, values(fixture.golden, 'train.losses'))).toBeLessThan(1e-4);
      expectArrays(withFactorArrays(fixture.adapter, step.parameters).modules, fixture, 'train');
    });
  });

  it.each([
    ['base_v1', null, 'loss.v1'],
    ['base_v1', 'adapter', 'loss.v1_adapter'],
    ['base_v2', null, 'loss.v2'],
    ['base_v2', 'adapter', 'loss.v2_adapter'],
  ])('llama-evolution: %s with %s has the loss %s', async (base, which, expected) => {
    const fixture = await loadGoldenCase('llama-evolution', base);
    const runtime = createRuntime({ kind, base: fixture.base });
    const losses = await runtime.labelLosses(which ? fixture.adapter : null, labelBatch(fixture.golden));
    const loss = values(fixture.golden, expected)[0]!;
    expect(Math.abs(sum(losses) / losses.length / loss - 1)).toBeLessThan(1e-5);
    await runtime.dispose();
  });
});

/** Every array of the fixture's group, and no other. */
function expectArrays(modules: ReadonlyMap<string, TrainableArrays>, { golden }: GoldenCase, group: 'grad' | 'train'): void {
  const arrays = [...modules].flatMap(([module, of]) =>
    trainableArrays(of).map(([name, array]) => [`${group}.${factorKey(module, name)}`, array] as const),
  );
  const stored = [...golden.keys()].filter((name) => name.startsWith(`${group}.base_model.`));
  expect(stored.every((name) => arrays.some(([ours]) => ours === name))).toBe(true);
  for (const [name, array] of arrays) expect(relativeError(array, values(golden, name)), name).toBeLessThan(1e-3);
}
