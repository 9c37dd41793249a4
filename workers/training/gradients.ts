import type { Runtime } from '../engine/runtime.ts';
import type { Adapter } from '../models/adapter.ts';
import { trainableArrays } from '../models/trainable-arrays.ts';
import type { FactorGradients } from '../relora/regularisation.ts';
import { bucketLength, inputLength, makeBatch } from './batching.ts';
import { breathe } from './forward-passes.ts';
import type { TokenizedExample } from './example.ts';

/** Padded tokens that go through the model at once; bounds the memory of activations. */
export const MICRO_BATCH_TOKENS = 8192;

export interface AccumulateOptions {
  /** Rows of the whole batch; fewer examples are padded up to it, so that they share its compiled graph. */
  readonly rows: number;
  readonly microBatchSize?: number;
  /** Looked at before every micro-batch. */
  readonly signal?: AbortSignal;
}

export interface BatchGradients {
  /** Of the mean loss over the batch's completion tokens; the caller's own arrays. */
  readonly gradients: FactorGradients;
  /** Mean over the batch's completion tokens, in nats. */
  readonly loss: number;
  /** Real input tokens. */
  readonly tokens: number;
}

/** Loss and gradients of one optimiser step, in micro-batches whose sizes do not change the result. */
export async function accumulateGradients(
  runtime: Runtime,
  adapter: Adapter,
  examples: readonly TokenizedExample[],
  options: AccumulateOptions,
): Promise<BatchGradients> {
  const length = bucketLength(Math.max(...examples.map(inputLength)));
  const rows = microBatchRows(length, options);
  const completionTokens = examples.reduce((total, { completionIds }) => total + completionIds.length, 0);
  let gradients: FactorGradients | null = null;
  let lossSum = 0;
  let tokens = 0;
  for (let at = 0; at < examples.length; at += rows) {
    options.signal?.throwIfAborted();
    const batch = makeBatch(examples.slice(at, at + rows), { rows, length });
    const result = await runtime.gradients(adapter, batch, 1 / completionTokens);
    lossSum += result.lossSum;
    tokens += batch.tokens;
    gradients = addInto(gradients, result.gradients);
    if (at + rows < examples.length) await breathe();
  }
  return { gradients: gradients!, loss: lossSum / completionTokens, tokens };
}

function microBatchRows(length: number, { rows, microBatchSize }: AccumulateOptions): number {
  const affordable = 2 ** Math.floor(Math.log2(Math.max(1, MICRO_BATCH_TOKENS / length)));
  return Math.min(rows, microBatchSize ?? affordable);
}

/** The first micro-batch's arrays become the sum; a runtime hands out arrays that are the caller's. */
function addInto(sum: FactorGradients | null, more: FactorGradients): FactorGradients {
  if (sum === null) return more;
  for (const [module, gradients] of more) {
    const target = sum.get(module)!;
    for (const [name, values] of trainableArrays(gradients)) addArray(target[name]!, values);
  }
  return sum;
}

function addArray(target: Float32Array, values: Float32Array): void {
  for (let i = 0; i < target.length; i++) target[i] = target[i]! + values[i]!;
}
