import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime, RUNTIME_KINDS } from '../../../workers/engine/create-runtime.ts';
import type { Runtime } from '../../../workers/engine/runtime.ts';
import { adapterKey, everyPositionBatch, labelBatch, loadGoldenCase, values, type GoldenCase } from './support/golden.ts';
import { largestDifference, relativeError, sum } from './support/numeric.ts';

const CASES = ['llama-gqa-tied', 'llama-bf16', 'llama-patterns', 'llama-qv-rslora'];

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
      const expected = [...positions.labelPositions].flatMap((position) =>
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
      for (const [module, { a, b }] of gradients) {
        expect(relativeError(a, values(fixture.golden, `grad.${adapterKey(module, 'a')}`)), module).toBeLessThan(1e-3);
        expect(relativeError(b, values(fixture.golden, `grad.${adapterKey(module, 'b')}`)), module).toBeLessThan(1e-3);
      }
    });
  });
});
