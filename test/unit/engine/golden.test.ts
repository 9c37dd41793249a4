import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime } from '../../../core/engine/create-runtime.ts';
import { COMPARED_DEVICES } from './support/opened-runtimes.ts';
import { selectBackend } from '../../../core/engine/eager/select-backend.ts';
import type { Runtime } from '../../../core/engine/runtime.ts';
import { linear } from '../../../core/engine/decoder/linear.ts';
import { rowSquares } from '../../../core/linalg/row-squares.ts';
import { labelBatch, loadGoldenCase, values, type GoldenCase } from './support/golden.ts';
import { expectGradients, expectLogitsAndLosses, expectTraining, expectWithinGap } from './support/golden-results.ts';
import { sum } from './support/numeric.ts';

const LLAMA = ['llama-gqa-tied', 'llama-bf16', 'llama-patterns', 'llama-qv-rslora', 'llama-dora'];
const CASES = [...LLAMA, 'mistral', 'qwen2', 'qwen3', 'gemma2', 'gemma3', 'phi3'];

describe.each(COMPARED_DEVICES)(
  '%s runtime against transformers and PEFT, to ten times their rounding gap',
  (device) => {
    describe.each(CASES)('%s', (name) => {
      let fixture: GoldenCase;
      let runtime: Runtime;

      beforeAll(async () => {
        fixture = await loadGoldenCase(name);
        runtime = createRuntime({ device, base: fixture.base });
      });
      afterAll(() => runtime.dispose());

      it.each(['base', 'adapter'] as const)('gives the logits and losses of the %s', async (which) => {
        await expectLogitsAndLosses(runtime, fixture, which);
      });

      it('gives the gradients of every factor', async () => {
        await expectGradients(runtime, fixture);
      });

      it('trains five AdamW steps as PyTorch does', async () => {
        await expectTraining(runtime, fixture);
      });
    });

    it.each([
      ['base_v1', null, 'loss.v1'],
      ['base_v1', 'adapter', 'loss.v1_adapter'],
      ['base_v2', null, 'loss.v2'],
      ['base_v2', 'adapter', 'loss.v2_adapter'],
    ])('llama-evolution: %s with %s has the loss %s', async (base, which, expected) => {
      const fixture = await loadGoldenCase('llama-evolution', base);
      const runtime = createRuntime({ device, base: fixture.base });
      const losses = await runtime.labelLosses(which ? fixture.adapter : null, labelBatch(fixture.golden));
      const loss = values(fixture.golden, expected)[0]!;
      expect(Math.abs(sum(losses) / losses.length / loss - 1)).toBeLessThan(1e-5);
      await runtime.dispose();
    });
  },
);

it.each(CASES)('%s: an adapted layer has the weight that PEFT merges', async (name) => {
  const fixture = await loadGoldenCase(name);
  const stored = [...fixture.golden.keys()].filter((key) => key.startsWith('merged.'));
  expect(stored).toHaveLength(1);
  const module = stored[0]!.slice('merged.'.length, -'.weight'.length);
  expectWithinGap(fixture, 'merged', [adaptedWeight(fixture, module), values(fixture.golden, stored[0]!)]);
});

/** Computes W' of an adapted module, [outFeatures, inFeatures], by applying the layer to the unit vectors. */
function adaptedWeight({ base, adapter }: GoldenCase, module: string): Float32Array {
  selectBackend('cpu');
  const { a, b, rank, inFeatures, outFeatures, scaling, magnitude } = adapter.modules.get(module)!;
  const stored = base.weights.get(`${module}.weight`)!;
  const dora = magnitude && { magnitude: tf.tensor1d(magnitude), weightSquares: tf.tensor1d(rowSquares(stored)) };
  return tf.tidy(() => {
    const factors = { a: tf.tensor2d(a, [rank, inFeatures]), b: tf.tensor2d(b, [outFeatures, rank]) };
    const lora = { ...factors, scaling: tf.scalar(scaling), ...(dora && { dora }) };
    const weight = tf.tensor2d(stored.data, [outFeatures, inFeatures]);
    return linear(tf.eye(inFeatures), { weight }, lora).transpose().dataSync() as Float32Array;
  });
}
