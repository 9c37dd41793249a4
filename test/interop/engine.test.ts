import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime } from '../../core/engine/create-runtime.ts';
import { adamwInit, adamwUpdate, type AdamwStep } from '../../core/training/optimizer/adamw.ts';
import { clipGlobalNorm } from '../../core/training/optimizer/clipping.ts';
import { factorArrays, withFactorArrays } from '../../core/training/optimizer/factors.ts';
import { cosineSchedule } from '../../core/training/optimizer/cosine-schedule.ts';
import type { Runtime } from '../../core/engine/runtime.ts';
import { loadBaseModel } from '../../core/formats/hugging-face/hugging-face-model.ts';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import { saveAdapter } from '../../core/formats/peft/peft-adapter-writer.ts';
import { factorKey } from '../../core/formats/peft/peft-keys.ts';
import { withSafetensors } from '../../core/formats/safetensors/safetensors.ts';
import type { Adapter } from '../../core/models/lora/adapter.ts';
import { trainableArrays } from '../../core/models/lora/trainable-arrays.ts';
import { largestDifference, relativeError, sum } from '../unit/engine/support/numeric.ts';
import { FAMILIES, type BaseCase } from './support/bases.ts';
import { DORAS, fused, LORAS, randomExamples, SEEDS, SELECTIONS } from './support/cases.ts';
import { batchOf, labelCount, labelLogits } from './support/passes.ts';
import type { TokenIds } from './support/protocol.ts';
import { useWorkspace } from './support/workspace.ts';

const STEPS = 20;
const WEIGHT_DECAY = 0.01;
const MAX_NORM = 1;

const workspace = useWorkspace();

/**
 * Parameterizations. Each model of a family takes the next one in turn, so that over all seeds a family has them all.
 */
const PARAMETERIZATIONS = [...LORAS, ...DORAS, ...SELECTIONS];
const cases = FAMILIES.flatMap((bases) =>
  SEEDS.flatMap((seed, round) =>
    bases.map((base, index) => {
      const lora = PARAMETERIZATIONS[(round * bases.length + index) % PARAMETERIZATIONS.length]!;
      return { seed, base, lora: family(base) === 'phi3' ? fused(lora) : lora };
    }),
  ),
);

function family(base: BaseCase): unknown {
  return base.config['model_type'];
}

it('tests every family with every parameterization', () => {
  const met = new Set(cases.map(({ base, lora }) => `${String(family(base))}: ${lora.name}`));
  expect(met.size).toBe(FAMILIES.length * PARAMETERIZATIONS.length);
});

describe.each(cases)('seed $seed: $base.name, $lora.name', ({ seed, base, lora }) => {
  let runtime: Runtime;
  let adapter: Adapter;
  let folders: { base: string; adapter: string };

  beforeAll(async () => {
    const at = (kind: string) => workspace.path(`${kind} ${seed} ${base.name}`);
    folders = { base: at('base'), adapter: at('adapter') };
    const { reference } = workspace;
    await reference.call('models.create_base', { ...base, folder: folders.base, seed });
    await reference.call('models.create_adapter', {
      base: folders.base,
      folder: folders.adapter,
      lora: lora.lora,
      seed,
      dtype: 'float32',
    });
    runtime = createRuntime({ base: await loadBaseModel(folders.base), threads: 1 });
    adapter = await loadAdapter(folders.adapter, runtime.base.config);
  });
  afterAll(() => runtime?.dispose());

  it('gives the loss, logits and gradients of transformers and PEFT', async () => {
    const examples = randomExamples(4, runtime.base.config.vocabSize, seed);
    await expectEqualPass(examples, null, null);
    const expected = await expectEqualPass(examples, adapter, folders.adapter);
    const { lossSum, gradients } = await runtime.gradients(adapter, batchOf(examples), 1 / labelCount(examples));
    expect(Math.abs(lossSum / labelCount(examples) - expected.loss)).toBeLessThan(1e-5);
    const ours = [...gradients].flatMap(([module, arrays]) =>
      trainableArrays(arrays).map(([name, values]) => [factorKey(module, name), values] as const),
    );
    expect(Object.keys(expected.gradients).sort()).toEqual(ours.map(([key]) => key).sort());
    for (const [key, values] of ours) expect(relativeError(values, expected.gradients[key]!), key).toBeLessThan(1e-4);
  });

  it(`takes the same ${STEPS} AdamW steps as PyTorch, to an adapter that PEFT loads without differences`, async () => {
    const pool = randomExamples(8, runtime.base.config.vocabSize, 100 + seed);
    const batches = Array.from({ length: STEPS }, (_, step) => (step % 2 === 0 ? pool.slice(0, 4) : pool.slice(4)));
    const rateAt = cosineSchedule({ peak: 5e-3, steps: STEPS, warmupSteps: 3 });
    const rates = batches.map((_, step) => rateAt(step));
    const out = workspace.path(`trained ${seed} ${base.name}.safetensors`);
    const expected = await workspace.reference.call('passes.train', {
      ...folders,
      batches,
      learning_rates: rates,
      weight_decay: WEIGHT_DECAY,
      max_norm: MAX_NORM,
      out,
    });
    const { losses, trained } = await train(batches, rates);
    // The last step but one has the same batch as the first, so its loss shows that training did something.
    expect(losses.at(-2)!).toBeLessThan(losses[0]!);
    expect(await distance(adapter, out)).toBeGreaterThan(0.02);
    expect(largestDifference(losses, expected)).toBeLessThan(2e-5);
    expect(await distance(trained, out)).toBeLessThan(1e-4);

    const saved = workspace.path(`saved ${seed} ${base.name}`);
    await saveAdapter(saved, trained);
    const loaded = await workspace.reference.call('adapters.load_strictly', { base: folders.base, adapter: saved });
    expect(loaded).toEqual({ base: folders.base, warnings: [], missing: [], unexpected: [], changed: [] });
    await expectEqualPass(pool, trained, saved);
  });

  /** Compares loss and logits of an adapter in memory with the reference's for its folder. */
  async function expectEqualPass(examples: readonly TokenIds[], which: Adapter | null, folder: string | null) {
    const { reference } = workspace;
    const expected = await reference.call('passes.measure', { base: folders.base, adapter: folder, examples });
    const losses = await runtime.labelLosses(which, batchOf(examples));
    expect(Math.abs(sum(losses) / labelCount(examples) - expected.loss)).toBeLessThan(1e-5);
    expect(largestDifference(await labelLogits(runtime, which, examples), expected.logits)).toBeLessThan(1e-4);
    return expected;
  }

  async function train(batches: readonly (readonly TokenIds[])[], rates: readonly number[]) {
    const parameters = factorArrays(adapter.modules);
    let step: AdamwStep = { parameters, state: adamwInit(parameters) };
    const losses: number[] = [];
    for (const [index, examples] of batches.entries()) {
      const current = withFactorArrays(adapter, step.parameters);
      const labels = labelCount(examples);
      const { lossSum, gradients } = await runtime.gradients(current, batchOf(examples), 1 / labels);
      losses.push(lossSum / labels);
      const arrays = factorArrays(gradients);
      clipGlobalNorm(arrays, MAX_NORM);
      step = adamwUpdate(step, arrays, rates[index]!, { weightDecay: WEIGHT_DECAY });
    }
    return { losses, trained: withFactorArrays(adapter, step.parameters) };
  }
});

/** Returns the relative L2 distance between all factors and those in a file. */
async function distance({ modules }: Adapter, file: string): Promise<number> {
  return withSafetensors(file, async (reader) => {
    const arrays = [...modules].flatMap(([module, factors]) =>
      trainableArrays(factors).map(([name, values]) => [factorKey(module, name), values] as const),
    );
    expect([...reader.names].sort()).toEqual(arrays.map(([key]) => key).sort());
    const [ours, theirs]: [number[], number[]] = [[], []];
    for (const [key, values] of arrays) {
      ours.push(...values);
      theirs.push(...(await reader.read(key)).data);
    }
    return relativeError(ours, theirs);
  });
}
