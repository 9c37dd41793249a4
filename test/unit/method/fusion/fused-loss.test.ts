import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime } from '../../../../core/engine/create-runtime.ts';
import type { Runtime } from '../../../../core/engine/runtime.ts';
import { loadBaseModel } from '../../../../core/formats/hugging-face/hugging-face-model.ts';
import type { BaseModel } from '../../../../core/models/base-model.ts';
import { computeEvolution, type WeightSource } from '../../../../core/method/evolution/evolution.ts';
import { Fusion } from '../../../../core/method/fusion/fusion.ts';
import { labelBatch, loadGoldenCase, values, type GoldenCase } from '../../engine/support/golden.ts';

const sourceOf = ({ config, fingerprint, weights }: BaseModel): WeightSource => ({
  config,
  fingerprint,
  readWeight: async (name) => weights.get(name)!,
});

describe('the loss of a fused adapter on the new base', () => {
  let golden: GoldenCase;
  let fusion: Fusion;
  let runtime: Runtime;

  beforeAll(async () => {
    golden = await loadGoldenCase('llama-evolution', 'base_v2');
    const old = await loadBaseModel(join(import.meta.dirname, '../../../fixtures/golden/llama-evolution/base_v1'));
    const evolution = await computeEvolution(sourceOf(old), sourceOf(golden.base), { rank: 64 });
    fusion = await Fusion.prepare(golden.adapter, evolution);
    runtime = createRuntime({ device: 'tfjs-cpu', base: golden.base });
  });
  afterAll(() => runtime.dispose());

  it.each([
    ['copy', 'evo0', 1, 0],
    ['the change added', 'evo1', 1, 1],
    ['revert', 'evo2', 1, -1],
    ['a mixture', 'evo3', 0.6, 0.3],
  ])('is that of the reference implementation: %s', async (_, prefix, alpha, beta) => {
    const batch = labelBatch(golden.golden);
    const losses = await runtime.labelLosses(await fusion.at({ alpha, beta }), batch);
    const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    expect(mean).toBeCloseTo(values(golden.golden, `${prefix}.loss`)[0]!, 5);
  });
});
