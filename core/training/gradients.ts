import type { Dropout, Runtime } from '../engine/runtime.ts';
import type { Adapter } from '../models/lora/adapter.ts';
import { trainableArrays } from '../models/lora/trainable-arrays.ts';
import type { FactorGradients } from '../method/regularization/regularization.ts';
import { cutIntoRuns, labelLimit } from '../data/batching.ts';
import { breathe } from '../data/forward-passes.ts';
import type { TokenizedExample } from '../data/example.ts';
import { makeBatch } from '../data/make-batch.ts';

/** Input tokens that go through the model at once; bounds the memory of activations and the wait for an abort. */
export const MICRO_BATCH_TOKENS = 384;

export interface AccumulateOptions {
  /** Default {@link MICRO_BATCH_TOKENS}; an example with more goes alone. */
  readonly microBatchTokens?: number;
  /** Of the inputs of every A; micro-batches count the seed up. Default none. */
  readonly dropout?: Dropout | undefined;
  /** Looked at before every micro-batch. */
  readonly signal?: AbortSignal;
}

export interface BatchGradients {
  /** Of the mean loss over the batch's completion tokens; the caller's own arrays. */
  readonly gradients: FactorGradients;
  /** Mean over the batch's completion tokens, in nats. */
  readonly loss: number;
  /** Input tokens. */
  readonly tokens: number;
}

/** Loss and gradients of one optimizer step, in micro-batches whose sizes do not change the result (but with dropout). */
export async function accumulateGradients(
  runtime: Runtime,
  adapter: Adapter,
  examples: readonly TokenizedExample[],
  { microBatchTokens = MICRO_BATCH_TOKENS, dropout, signal }: AccumulateOptions = {},
): Promise<BatchGradients> {
  const completionTokens = examples.reduce((total, { completionIds }) => total + completionIds.length, 0);
  let gradients: FactorGradients | null = null;
  let lossSum = 0;
  let tokens = 0;
  const limits = { maxTokens: microBatchTokens, maxLabels: labelLimit(runtime.base.config.vocabSize) };
  for (const [count, run] of cutIntoRuns(examples, limits).entries()) {
    if (gradients) await breathe();
    signal?.throwIfAborted();
    const batch = makeBatch(run.map((index) => examples[index]!));
    const own = dropout && { ...dropout, seed: dropout.seed + count };
    const result = await runtime.gradients(adapter, batch, 1 / completionTokens, own);
    lossSum += result.lossSum;
    tokens += batch.inputIds.length;
    gradients = addInto(gradients, result.gradients);
  }
  return { gradients: gradients!, loss: lossSum / completionTokens, tokens };
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
