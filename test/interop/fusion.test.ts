import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime } from '../../core/engine/create-runtime.ts';
import { loadBaseModel } from '../../core/formats/hugging-face/hugging-face-model.ts';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import { saveAdapter } from '../../core/formats/peft/peft-adapter-writer.ts';
import type { Adapter, LoraFactors } from '../../core/models/lora/adapter.ts';
import type { BaseModel } from '../../core/models/base-model.ts';
import { computeEvolution, type WeightSource } from '../../core/method/evolution/evolution.ts';
import { Fusion } from '../../core/method/fusion/fusion.ts';
import { largestDifference, relativeError } from '../unit/engine/support/numeric.ts';
import { PLAIN } from './support/bases.ts';
import { DORAS, LORAS, randomExamples, SEEDS } from './support/cases.ts';
import { labelLogits } from './support/passes.ts';
import { useWorkspace } from './support/workspace.ts';

const workspace = useWorkspace();
const ADAPTERS = [...LORAS, ...DORAS];

/** Coefficients: the copy, the revert, the evolution alone, a pair between them and one beyond. */
const COEFFICIENTS = [
  { alpha: 1, beta: 0 },
  { alpha: 1, beta: -1 },
  { alpha: 0, beta: 1 },
  { alpha: 0.7, beta: 0.4 },
  { alpha: -0.3, beta: -1.2 },
];

describe.each(SEEDS)('fusion, compared with the dense SVD in float64, seed %i', (seed) => {
  const lora = ADAPTERS[(seed + 1) % ADAPTERS.length]!;
  let folders: { old_base: string; new_base: string; adapter: string };
  let newBase: BaseModel;
  let adapter: Adapter;
  let fusion: Fusion;

  beforeAll(async () => {
    const at = (name: string) => workspace.path(`${name} ${seed}`);
    folders = { old_base: at('old'), new_base: at('new'), adapter: at('adapter') };
    const create = (folder: string, more: object) =>
      workspace.reference.call('models.create_base', { ...PLAIN, folder, seed, ...more });
    await create(folders.old_base, {});
    await create(folders.new_base, { seed: seed + 50, moved_from: folders.old_base, drift: 0.15 });
    await workspace.reference.call('models.create_adapter', {
      base: folders.old_base,
      folder: folders.adapter,
      lora: lora.lora,
      seed,
      dtype: 'float32',
    });
    const oldBase = await loadBaseModel(folders.old_base);
    newBase = await loadBaseModel(folders.new_base);
    adapter = await loadAdapter(folders.adapter, oldBase.config);
    // The evolution keeps every direction of the change, so that only the adapter's rank truncates.
    const rank = PLAIN.config.intermediate_size as number;
    fusion = await Fusion.prepare(adapter, await computeEvolution(source(oldBase), source(newBase), { rank }));
  });

  it.each(COEFFICIENTS)('alpha $alpha, beta $beta', async ({ alpha, beta }) => {
    const expected = await workspace.reference.call('fusion.dense', { ...folders, alpha, beta });
    const fused = await fusion.fuse({ alpha, beta });
    expect(Object.keys(expected).sort()).toEqual([...fused.adapter.modules.keys()].sort());
    for (const [module, factors] of fused.adapter.modules) {
      const { update, truncation_error: lost } = expected[module]!;
      expect(relativeError(product(factors), update), module).toBeLessThan(1e-4);
      const scale = Math.hypot(norm(update), lost);
      expect(Math.abs(fused.truncationErrors.get(module)! - lost) / scale, module).toBeLessThan(1e-5);
    }
  });

  it('makes an adapter for which PEFT computes the same on the new base as the runtime', async () => {
    const fused = await fusion.at({ alpha: 0.9, beta: -0.6 });
    const folder = workspace.path(`fused ${seed}`);
    await saveAdapter(folder, fused);
    const examples = randomExamples(4, newBase.config.vocabSize, seed);
    const params = { base: folders.new_base, adapter: folder, examples };
    const { logits } = await workspace.reference.call('passes.measure', params);
    expect(largestDifference(await logitsOn(newBase, fused, examples), logits)).toBeLessThan(1e-4);
    expect(largestDifference(await logitsOn(newBase, adapter, examples), logits)).toBeGreaterThan(0.05);
  });
});

const runtimes: { dispose(): Promise<void> }[] = [];
afterAll(async () => {
  for (const runtime of runtimes) await runtime.dispose();
});

async function logitsOn(base: BaseModel, adapter: Adapter, examples: ReturnType<typeof randomExamples>) {
  const runtime = createRuntime({ base, threads: 1 });
  runtimes.push(runtime);
  return labelLogits(runtime, adapter, examples);
}

function source({ config, fingerprint, weights }: BaseModel): WeightSource {
  return { config, fingerprint, readWeight: async (name) => weights.get(name)! };
}

/** Returns scaling · B A, [outFeatures, inFeatures]. */
function product({ rank, inFeatures, outFeatures, scaling, a, b }: LoraFactors): Float64Array {
  const result = new Float64Array(outFeatures * inFeatures);
  for (let row = 0; row < outFeatures; row++) {
    for (let column = 0; column < inFeatures; column++) {
      let dot = 0;
      for (let k = 0; k < rank; k++) dot += b[row * rank + k]! * a[k * inFeatures + column]!;
      result[row * inFeatures + column] = scaling * dot;
    }
  }
  return result;
}

function norm(values: readonly number[]): number {
  return Math.sqrt(values.reduce((total, value) => total + value * value, 0));
}
