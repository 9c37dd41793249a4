import { setImmediate } from 'node:timers/promises';
import type { Batch, Runtime } from '../engine/runtime.ts';
import type { Adapter, LoraFactors } from '../models/lora/adapter.ts';

/** A part of ∂loss/∂W of a module's weight: the columns from `from` up to, but not including, `to`. */
export interface GradientColumns {
  readonly from: number;
  readonly to: number;
  /** [outFeatures, width] row-major, of which the first `to` − `from` columns count. */
  readonly data: Float32Array;
  readonly width: number;
}

interface WeightGradientOptions {
  /** Number of parts that the columns of every weight are divided into. Each takes a pass for each batch. */
  readonly parts: number;
  /** Checked before every pass. */
  readonly signal?: AbortSignal;
}

/**
 * Computes ∂loss/∂W of modules of the base itself, where the loss is the sum over a batch's labels in nats, a part of the columns
 * of every weight at a time. A factor B of zeros changes nothing, and has the gradient (∂loss/∂W) Aᵀ, so that rows of the identity
 * in A give columns of ∂loss/∂W.
 * @param like an adapter of these modules; its factors do not matter
 * @yields the same part of all modules for each batch, part after part; the arrays belong to the caller
 * @throws RangeError for a number of parts that is not a positive integer
 */
export async function* weightGradients(
  runtime: Runtime,
  like: Adapter,
  batches: readonly Batch[],
  { parts, signal }: WeightGradientOptions,
): AsyncGenerator<ReadonlyMap<string, GradientColumns>> {
  if (!(Number.isSafeInteger(parts) && parts >= 1))
    throw new RangeError(`the number of parts is ${parts}, expected a positive integer`);
  for (let part = 0; part < parts; part++) {
    const probe = probeOf(like, part, parts);
    for (const batch of batches) {
      signal?.throwIfAborted();
      const { gradients } = await runtime.gradients(probe, batch, 1);
      yield new Map(
        [...probe.modules].map(([name, { rank: width, inFeatures }]): [string, GradientColumns] => {
          const from = part * width;
          return [name, { from, to: Math.min(from + width, inFeatures), width, data: gradients.get(name)!.b }];
        }),
      );
      await setImmediate();
    }
  }
}

/** An adapter that changes nothing, whose A has the rows of the identity that belong to a part. All parts have equal ranks. */
function probeOf({ config, modules }: Adapter, part: number, parts: number): Adapter {
  const factors = [...modules].map(([name, { inFeatures, outFeatures }]): [string, LoraFactors] => {
    const rank = Math.ceil(inFeatures / parts);
    const a = new Float32Array(rank * inFeatures);
    for (let k = 0; k < rank && part * rank + k < inFeatures; k++) a[k * inFeatures + part * rank + k] = 1;
    return [name, { rank, inFeatures, outFeatures, scaling: 1, a, b: new Float32Array(outFeatures * rank) }];
  });
  return { config: { ...config, useDora: false }, modules: new Map(factors) };
}
