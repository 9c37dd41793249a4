import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime } from '../../../../core/engine/create-runtime.ts';
import type { Batch, Runtime } from '../../../../core/engine/runtime.ts';
import { loadBaseModel } from '../../../../core/formats/hugging-face/hugging-face-model.ts';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import type { BaseModel } from '../../../../core/models/base-model.ts';
import { createAdapter } from '../../../../core/models/lora/lora-init.ts';
import { Random } from '../../../../core/statistics/random.ts';
import type { Coefficients } from '../../../../core/method/fusion/coefficients.ts';
import { computeEvolution, type Evolution, type WeightSource } from '../../../../core/method/evolution/evolution.ts';
import { Fusion } from '../../../../core/method/fusion/fusion.ts';
import { searchByGradients } from '../../../../core/method/search/gradients/gradient-search.ts';
import { groupingOf } from '../../../../core/method/fusion/grouping.ts';
import type { GroupingName } from '../../../../core/options/job-options.ts';
import { labelBatch, loadGoldenCase } from '../../engine/support/golden.ts';

const COPY = { alpha: 1, beta: 0 };
const REVERT = { alpha: 1, beta: -1 };
const sourceOf = ({ config, fingerprint, weights }: BaseModel): WeightSource => ({
  config,
  fingerprint,
  readWeight: async (name) => weights.get(name)!,
});

/** Two versions of a model from the fixtures, an adapter, and a batch: all passes are real ones. */
describe.each(['LoRA', 'DoRA'])('coefficients by gradients, end to end: %s', (method) => {
  let base: BaseModel;
  let adapter: Adapter;
  let evolution: Evolution;
  let batch: Batch;
  let runtime: Runtime;

  beforeAll(async () => {
    const golden = await loadGoldenCase('llama-evolution', 'base_v2');
    const before = await loadBaseModel(
      path.join(import.meta.dirname, '../../../fixtures/golden/llama-evolution/base_v1'),
    );
    base = golden.base;
    adapter = method === 'LoRA' ? golden.adapter : doraOf(before);
    evolution = await computeEvolution(sourceOf(before), sourceOf(base), { rank: 64 });
    batch = labelBatch(golden.golden);
    runtime = createRuntime({ device: 'tfjs-cpu', base });
  });
  afterAll(() => runtime.dispose());

  const lossOf = async (candidate: Adapter) => {
    const losses = await runtime.labelLosses(candidate, batch);
    return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  };

  const refine = (grouping: GroupingName, start: Coefficients) =>
    searchByGradients(
      {
        adapter,
        evolution,
        grouping: groupingOf(grouping, adapter.modules.keys()),
        start,
        weights: base.weights,
        lossAndGradients: async (stacked) => {
          const labels = batch.labelIds.length;
          const { lossSum, gradients } = await runtime.gradients(stacked, batch, 1 / labels);
          return { loss: lossSum / labels, gradients };
        },
      },
      { steps: 5 },
    );

  it.each([
    ['all modules', 'global', COPY],
    ['attention and MLP', 'block', REVERT],
    ['each module', 'module', COPY],
  ] as const)('bring the loss down, also of the adapter that is fused with them: %s', async (_, grouping, start) => {
    const { coefficients, loss, losses } = await refine(grouping, start);
    expect(losses.length).toBeLessThanOrEqual(6);
    expect(loss).toBe(Math.min(...losses));
    const fusion = await Fusion.prepare(adapter, evolution, { rank: { cap: 64 } });
    expect(await lossOf(await fusion.at(coefficients))).toBeCloseTo(loss, 4);
    expect(await lossOf(await fusion.at(start))).toBeCloseTo(losses[0]!, 4);
    expect(losses[0]! - loss).toBeGreaterThan(0.002);
  });

  it('of each module find more than one pair for all', async () => {
    const [apart, together] = [await refine('module', COPY), await refine('global', COPY)];
    expect(apart.loss).toBeLessThan(together.loss);
    expect(apart.coefficients.values.size).toBe(adapter.modules.size);
  });
});

/** An adapter of DoRA whose factors and magnitudes are away from where training begins. */
function doraOf({ config, weights }: BaseModel): Adapter {
  const fresh = createAdapter({
    base: config,
    weights,
    rank: 3,
    alpha: 6,
    useDora: true,
    targetModules: 'all-linear',
    seed: 5,
  });
  const random = Random.fromSeed(6);
  const modules = [...fresh.modules].map(([name, factors]) => {
    const b = factors.b.map(() => 0.05 * random.normal());
    return [
      name,
      { ...factors, b, magnitude: factors.magnitude!.map((value) => value * (1 + 0.1 * random.normal())) },
    ] as const;
  });
  return { ...fresh, modules: new Map(modules) };
}
