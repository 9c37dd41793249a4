import { describe, expect, it } from 'vitest';
import { InsufficientMemoryError, planMemory, requireMemory } from '../../../core/adaptation/setup/memory-plan.ts';
import { randomAdapter, randomBase } from '../engine/support/random-model.ts';
import { everyModule } from '../engine/support/variations.ts';

const GIB = 2 ** 30;

/** The sizes of a model of a billion weights; only its config is needed. */
const config = {
  ...randomBase().config,
  hiddenSize: 2048,
  intermediateSize: 5632,
  numLayers: 22,
  numHeads: 32,
  numKeyValueHeads: 4,
  headDim: 64,
  vocabSize: 32_000,
  tieWordEmbeddings: false,
};
const row = { tokens: 2048, labels: 64 };
const needs = {
  config,
  precision: 'int8',
  adapter: randomAdapter(randomBase(), everyModule),
  measured: [row],
  trained: [row],
  evolution: true,
} as const;

describe('the memory plan of a job', () => {
  it('adds up, and counts what is trained, the evolution and the precision', () => {
    const plan = planMemory(needs);
    const { process, base, adapter, evolution, generation, activations } = plan;
    expect(plan.reserved).toBe(process + base + adapter + evolution + generation);
    expect(plan.total).toBe(plan.reserved + activations);
    expect(base / GIB).toBeCloseTo(2.29, 1);
    expect(planMemory({ ...needs, precision: 'f32' }).base / GIB).toBeCloseTo(4.1, 1);
    expect(planMemory({ ...needs, evolution: false }).evolution).toBe(0);
    expect(planMemory({ ...needs, trained: [] }).total).toBeLessThan(plan.total);
  });

  it('counts the keys and values of texts that are generated, within the bound of their cache', () => {
    const plan = planMemory(needs);
    const bytes = 2 * 4 * 22 * 4 * 64;
    const cacheOf = (count: number, longest: number) => planMemory({ ...needs, generated: { count, longest } });
    expect(plan.generation).toBe(0);
    expect(cacheOf(3, 100).generation).toBe(3 * 100 * bytes);
    expect(cacheOf(3, 100).total).toBe(plan.total + 3 * 100 * bytes);
    // No more than 64 texts grow at once, and no more than fit into 512 MiB, except for a single one.
    expect(cacheOf(1000, 100).generation).toBe(64 * 100 * bytes);
    expect(cacheOf(1000, 2000).generation).toBe(Math.floor(GIB / 2 / (2000 * bytes)) * 2000 * bytes);
    expect(cacheOf(1000, 30_000).generation).toBe(30_000 * bytes);
  });

  it('counts the logits of one block of labels, however long a completion is', () => {
    const large = { ...needs, config: { ...config, vocabSize: 151_936 } };
    const activationsOf = (labels: number) => {
      return planMemory({ ...large, measured: [], trained: [{ tokens: 4096, labels }] }).activations;
    };
    // All logits at once would be 2.3 GiB, and so would be their softmax.
    expect(activationsOf(4000) - activationsOf(100)).toBeLessThan(0.25 * GIB);
    expect(activationsOf(4000)).toBeGreaterThan(activationsOf(100));
  });

  it('refuses a job that cannot fit, with the figures and the length that would', () => {
    const total = planMemory(needs).total;
    const refusal = refusalOf(() => requireMemory(needs, { bytes: total - 0.2 * GIB, source: 'READAPT_MEMORY' }));
    expect(refusal.code).toBe('insufficient_memory');
    const parts = /base 2\.3, activations \d\.\d, adapter \d\.\d, evolution \d\.\d, process \d\.\d/.source;
    const needed = String.raw`this job needs \d\.\d GiB \(${parts}\)`;
    const found = String.raw`this worker has \d\.\d GiB \(READAPT_MEMORY\)`;
    const remedy = String.raw`a max_length of (\d+) would fit, where the longest row has 2048 tokens`;
    expect(refusal.message).toMatch(new RegExp(`^${needed}, ${found}: ${remedy}$`));
    const length = Number(/max_length of (\d+)/.exec(refusal.message)![1]);
    const cut = { tokens: length, labels: 64 };
    expect(planMemory({ ...needs, measured: [cut], trained: [cut] }).total).toBeLessThanOrEqual(total - 0.2 * GIB);
  });

  it('names int8 where that would help, and the memory where nothing else would', () => {
    const short = { ...needs, measured: [{ tokens: 40, labels: 1 }], trained: [] };
    const message = (precision: 'f32' | 'int8', bytes: number) =>
      refusalOf(() => requireMemory({ ...short, precision }, { bytes, source: 'what this machine has free' })).message;
    expect(message('f32', 4 * GIB)).toContain('in int8 (READAPT_PRECISION) the base would take 2.3 GiB');
    expect(message('int8', 2 * GIB)).toMatch(/give it at least \d\.\d GiB \(READAPT_MEMORY, or a larger machine\)$/);
  });

  it('lets a job pass that fits', () => {
    const { total } = planMemory(needs);
    expect(requireMemory(needs, { bytes: total, source: 'a test' })).toEqual(planMemory(needs));
  });
});

function refusalOf(plan: () => unknown): InsufficientMemoryError {
  try {
    plan();
  } catch (error) {
    if (error instanceof InsufficientMemoryError) return error;
    throw error;
  }
  throw new Error('the job was not refused');
}
