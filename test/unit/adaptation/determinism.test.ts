import { afterAll, beforeAll, expect, test } from 'vitest';
import { factorArrays } from '../../../core/training/optimizer/factors.ts';
import { createRuntime } from '../../../core/engine/create-runtime.ts';
import type { Runtime } from '../../../core/engine/runtime.ts';
import { createAdapter } from '../../../core/models/lora/lora-init.ts';
import { Random } from '../../../core/statistics/random.ts';
import { exampleOf, type TokenizedExample } from '../../../core/data/example.ts';
import { decodeTrainerState, encodeTrainerState, type TrainerState } from '../../../core/training/trainer-state.ts';
import { train, type TrainOptions } from '../../../core/training/trainer.ts';
import { randomBase } from '../engine/support/random-model.ts';

/** A base large enough for its matrix products to be divided among the threads. */
const base = randomBase({
  hiddenSize: 256,
  intermediateSize: 704,
  numHeads: 8,
  numKeyValueHeads: 4,
  headDim: 32,
  vocabSize: 2000,
  maxPositionEmbeddings: 128,
});
const THREADS = 4;
const STEPS = 8;

const runtimes: Runtime[] = [];
let examples: TokenizedExample[];
let common: Omit<TrainOptions, 'runtime'>;
/** Undisturbed run. */
let whole: Awaited<ReturnType<typeof run>>;

beforeAll(async () => {
  const random = Random.fromSeed(5);
  const ids = (count: number) => Array.from({ length: count }, () => 3 + random.integer(1900));
  examples = Array.from({ length: 64 }, () =>
    exampleOf(ids(8 + random.integer(100)), ids(1 + random.integer(6)), { prompt: '', completion: '' }),
  );
  const targetModules = ['q_proj', 'v_proj', 'down_proj'];
  const { config, weights } = base;
  const initial = createAdapter({
    base: config,
    weights,
    targetModules,
    rank: 4,
    alpha: 8,
    useDora: true,
    dropout: 0.1,
    seed: 1,
  });
  common = { initial, examples, steps: STEPS, batchSize: 12, microBatchTokens: 512, learningRate: 5e-3, seed: 3 };
  whole = await run();
});
afterAll(async () => {
  for (const runtime of runtimes) await runtime.dispose();
});

function freshRuntime(): Runtime {
  const runtime = createRuntime({ device: 'cpu', base, threads: THREADS });
  runtimes.push(runtime);
  return runtime;
}

/** Trains, and returns the loss of every step and the bytes of the trained parameters. */
async function run(changes: Partial<TrainOptions> = {}) {
  const losses: number[] = [];
  const states: TrainerState[] = [];
  const afterStep: TrainOptions['afterStep'] = ({ loss, state }) => {
    losses.push(loss);
    states.push(structuredClone(state));
    return 'continue';
  };
  const { adapter } = await train({ ...common, runtime: freshRuntime(), afterStep, ...changes });
  const arrays = [...factorArrays(adapter.modules).values()];
  return {
    losses,
    states,
    bytes: Buffer.concat(
      arrays.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
    ),
  };
}

test(`training with ${THREADS} threads gives the same bits for the same seed`, async () => {
  const again = await run();
  expect(again.losses).toEqual(whole.losses);
  expect(again.bytes.equals(whole.bytes)).toBe(true);
  const other = await run({ seed: 4 });
  expect(other.bytes.equals(whole.bytes)).toBe(false);
});

test(`training with ${THREADS} threads that resumes from a state in another runtime has the same bits`, async () => {
  const names = [...factorArrays(common.initial.modules).keys()];
  for (const step of [1, 4, STEPS - 1]) {
    const { state, tensors } = encodeTrainerState(whole.states[step - 1]!);
    const stored = { state: JSON.parse(JSON.stringify(state)) as unknown, tensors };
    const resumed = await run({ resume: decodeTrainerState(stored, names) });
    expect(resumed.losses, `from step ${step}`).toEqual(whole.losses.slice(step));
    expect(resumed.bytes.equals(whole.bytes), `from step ${step}`).toBe(true);
  }
});
