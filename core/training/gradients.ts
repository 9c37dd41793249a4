import { setImmediate } from 'node:timers/promises';
import { cutEvenly, labelLimit, makeBatch } from '../data/batching.ts';
import { labelCount, type TokenizedExample } from '../data/example.ts';
import type { Dropout, Runtime } from '../engine/runtime.ts';
import { adaptedWidths } from '../engine/memory/activation-memory.ts';
import { tokenLimit } from '../engine/memory/token-limits.ts';
import type { FactorGradients } from '../method/regularization/regularization.ts';
import type { Adapter } from '../models/lora/adapter.ts';
import { factorArrays } from './optimizer/factors.ts';

export interface AccumulateOptions {
  /**
   * Largest number of input tokens in a micro-batch, except that a longer example gets a micro-batch of its own. The
   * number bounds the memory for activations and the delay of an abort. Default: the budget of the runtime's device.
   */
  readonly microBatchTokens?: number;
  /** Dropout on the inputs of each LoRA factor A. Its seed grows by one with each micro-batch. Default: none. */
  readonly dropout?: Dropout | undefined;
  /** Signal for an abort, checked before every micro-batch. */
  readonly signal?: AbortSignal;
}

export interface BatchGradients {
  /** Gradients of the mean loss over the batch's completion tokens. The caller may change these arrays. */
  readonly gradients: FactorGradients;
  /** Mean loss of the batch's completion tokens, in nats a token. */
  readonly loss: number;
  /** Number of input tokens in the batch. */
  readonly tokens: number;
}

/**
 * Computes the loss and the gradients of one optimizer step over its examples, in several micro-batches. Without
 * dropout, the result does not depend on how the examples are cut into micro-batches.
 * @throws RangeError if there are no examples
 */
export async function accumulateGradients(
  runtime: Runtime,
  adapter: Adapter,
  examples: readonly TokenizedExample[],
  { microBatchTokens = runtime.tokenBudgets.gradients, dropout, signal }: AccumulateOptions = {},
): Promise<BatchGradients> {
  const completionTokens = examples.reduce((total, example) => total + labelCount(example), 0);
  let gradients: FactorGradients | null = null;
  let lossSum = 0;
  let tokens = 0;
  const maxLabels = labelLimit(runtime);
  const call = {
    kind: 'gradients',
    adapted: adaptedWidths(adapter, dropout !== undefined),
    labels: maxLabels,
    targets: examples.reduce((most, { targets }) => Math.max(most, targets?.perLabel ?? 0), 0),
  } as const;
  const limits = { maxTokens: tokenLimit(runtime, { ...call, most: microBatchTokens }), maxLabels };
  for (const [number, run] of cutEvenly(examples, limits).entries()) {
    // A runtime may block the event loop for a whole micro-batch; this lets messages arrive, such as a cancellation.
    if (gradients) await setImmediate();
    signal?.throwIfAborted();
    const batch = makeBatch(run);
    const own = dropout && { ...dropout, seed: dropout.seed + number };
    const result = await runtime.gradients(adapter, batch, 1 / completionTokens, own);
    lossSum += result.lossSum;
    tokens += batch.inputIds.length;
    gradients = gradients ? addInto(gradients, result.gradients) : result.gradients;
  }
  if (!gradients) throw new RangeError('there are no examples to compute gradients from, expected at least one');
  return { gradients, loss: lossSum / completionTokens, tokens };
}

/**
 * Adds the gradients `more` to the arrays of `sum`, and returns `sum`. The runtime lets its caller change these arrays.
 */
function addInto(sum: FactorGradients, more: FactorGradients): FactorGradients {
  const sums = factorArrays(sum);
  for (const [name, values] of factorArrays(more)) {
    const target = sums.get(name)!;
    for (let i = 0; i < values.length; i++) target[i]! += values[i]!;
  }
  return sum;
}
