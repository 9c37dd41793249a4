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
   * Largest number of input tokens in a micro-batch. It bounds the memory of activations and the delay of an abort. An
   * example with more tokens gets a micro-batch of its own. Default: the budget of the runtime's device.
   */
  readonly microBatchTokens?: number;
  /** Dropout on the inputs of every A. Each micro-batch adds its number to the seed. Default: none. */
  readonly dropout?: Dropout | undefined;
  /** Checked before every micro-batch. */
  readonly signal?: AbortSignal;
}

export interface BatchGradients {
  /** Gradients of the mean loss over the batch's completion tokens. The arrays belong to the caller. */
  readonly gradients: FactorGradients;
  /** Mean over the batch's completion tokens, in nats. */
  readonly loss: number;
  /** Number of input tokens. */
  readonly tokens: number;
}

/**
 * Computes the loss and the gradients of one optimizer step in micro-batches. Without dropout, the sizes of the
 * micro-batches do not change the result.
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

/** Adds gradients to the arrays of `sum`, which belong to the caller of the runtime. */
function addInto(sum: FactorGradients, more: FactorGradients): FactorGradients {
  const sums = factorArrays(sum);
  for (const [name, values] of factorArrays(more)) {
    const target = sums.get(name)!;
    for (let i = 0; i < values.length; i++) target[i]! += values[i]!;
  }
  return sum;
}
