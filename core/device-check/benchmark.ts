import { createRuntime } from '../engine/create-runtime.ts';
import { expectedWeights } from '../models/architecture/architecture.ts';
import type { BaseModel } from '../models/base-model.ts';
import type { ModelConfig } from '../models/config/model-config.ts';
import type { Device } from '../options/devices.ts';
import type { BenchmarkResult, Speed, Speeds } from './check-report.ts';
import { randomAdapter, randomBase, randomBatch, tinyConfig } from './random-model.ts';

interface BenchmarkModel {
  readonly model: string;
  readonly config: ModelConfig;
}

const LLAMA = { numKeyValueHeads: 3, headDim: 64, maxPositionEmbeddings: 2048 };
const SMALL: BenchmarkModel = {
  model: 'a Llama of 5 million parameters',
  config: tinyConfig({ ...LLAMA, hiddenSize: 384, intermediateSize: 768, numLayers: 3, numHeads: 6, vocabSize: 4096 }),
};
const SMOLLM2: BenchmarkModel = {
  model: 'SmolLM2-135M',
  config: tinyConfig({
    ...LLAMA,
    hiddenSize: 576,
    intermediateSize: 1536,
    numLayers: 30,
    numHeads: 9,
    vocabSize: 49_152,
  }),
};

/**
 * Time, in milliseconds, after which a batch is not repeated any more, unless the options ask for a shorter time. A
 * batch runs at most {@link MAX_RUNS} times.
 */
const MEASURED_MS = 1000;
const MAX_RUNS = 5;
const ROW_TOKENS = 32;

export interface BenchmarkOptions {
  /** Number of threads that compute one operator. */
  readonly threads: number;
  /**
   * Longest time, in milliseconds, that a batch may be expected to take. Larger batches are left out, so that slow
   * devices do not take all day, but the smallest batches are always measured. No batch is repeated for longer than
   * this time.
   */
  readonly batchMs: number;
}

type Pass = (tokens: number) => Promise<unknown>;

/**
 * Measures forward passes and gradients (LoRA, rank 8, all linear layers, rows of 32 tokens) on the device and on the
 * CPU, at several numbers of tokens. The model has the shape of SmolLM2-135M if the device is fast enough for it, and
 * is a small Llama otherwise.
 */
export async function benchmark(device: Device, options: BenchmarkOptions): Promise<BenchmarkResult> {
  const small = await measureModel(SMALL, device, options);
  const fastest = small.device.gradients.at(-1)!;
  const scale = parametersOf(SMOLLM2.config) / small.parameters;
  const expectedMs = (fastest.ms / fastest.tokens) * 384 * scale;
  return expectedMs > options.batchMs ? small : measureModel(SMOLLM2, device, options);
}

async function measureModel({ model, config }: BenchmarkModel, device: Device, options: BenchmarkOptions) {
  const base = randomBase(config);
  const found = await measureDevice(base, device, options);
  const cpu = device === 'cpu' ? null : await measureDevice(base, 'cpu', options);
  return { model, parameters: parametersOf(config), device: found, cpu };
}

async function measureDevice(base: BaseModel, device: Device, { threads, batchMs }: BenchmarkOptions): Promise<Speeds> {
  const runtime = createRuntime({ base, device, threads });
  const adapter = randomAdapter(base, 8, false);
  const { forward, gradients } = runtime.tokenBudgets;
  const batchOf = (tokens: number) =>
    randomBatch(base.config.vocabSize, new Array<number>(tokens / ROW_TOKENS).fill(ROW_TOKENS));
  try {
    return {
      forward: await speeds(batchMs, [64, 1024, forward], (tokens) => runtime.labelLosses(adapter, batchOf(tokens))),
      gradients: await speeds(batchMs, [64, 384, gradients], (tokens) =>
        runtime.gradients(adapter, batchOf(tokens), 1),
      ),
    };
  } finally {
    await runtime.dispose();
  }
}

/**
 * Measures one kind of pass with increasing numbers of tokens, and stops before a number that is expected to take too
 * long.
 */
async function speeds(batchMs: number, sizes: readonly number[], pass: Pass): Promise<Speed[]> {
  const found: Speed[] = [];
  for (const size of new Set(sizes)) {
    const tokens = size - (size % ROW_TOKENS);
    const last = found.at(-1);
    if (last && (last.ms / last.tokens) * tokens > batchMs) break;
    // The first run compiles and allocates.
    await pass(tokens);
    const ms = await medianMs(() => pass(tokens), Math.min(MEASURED_MS, batchMs));
    found.push({ tokens, ms, tokensPerSecond: (1000 * tokens) / ms });
  }
  return found;
}

async function medianMs(run: () => Promise<unknown>, repeatedMs: number): Promise<number> {
  const times: number[] = [];
  const begun = performance.now();
  do {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  } while (performance.now() - begun < repeatedMs && times.length < MAX_RUNS);
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
}

function parametersOf(config: ModelConfig): number {
  const sizes = expectedWeights(config).map(({ shape }) =>
    shape.reduce((product, dimension) => product * dimension, 1),
  );
  return sizes.reduce((total, size) => total + size, 0);
}
