import type { BaseModel } from '../../models/base-model.ts';
import { bindCall } from '../call/bind-call.ts';
import { BoundWeights } from '../compiled/bound-weights.ts';
import { compileProgram } from '../compiled/compiled-program.ts';
import { CPU_PROVIDER } from '../devices/execution-provider.ts';
import type { Batch } from '../runtime.ts';
import { observeOperands } from '../graph/passes/weights/observe-operands.ts';
import { isLayerMatrix, largestName } from './inputs.ts';
import type { Smoothing } from './int8-matrix.ts';

/**
 * How much of the differences between an operand's columns moves into the weights. At 1 all columns are equally large;
 * measured on SmolLM2-135M, losses and gradients are nearest to those in float32 between 0.4 and 0.5.
 */
const STRENGTH = 0.4;

/** Keeps a column that is zero in the observed batch from being divided by zero. */
const SMALLEST = 1e-5;

/**
 * Finds factors that even out the columns of activations. A few columns are far larger than all others, at the same places
 * for any text, and would leave the others few of a row's 255 levels. Since x Wᵀ = (x / s) (W s)ᵀ for any s > 0, factors
 * s = max|x|^0.4 of each column move a part of the differences into the weights. They come from a forward pass in float32
 * over a batch of text (Xiao et al. 2023, SmoothQuant, without its division by the weights' own largest numbers, which
 * measured no better).
 */
export async function observeSmoothing(
  base: BaseModel,
  batch: Batch,
  { threads }: { readonly threads: number },
): Promise<Smoothing> {
  const provider = { ...CPU_PROVIDER, rewrite: observeOperands };
  const call = bindCall(base, 'labelLosses', { adapter: null, tokens: batch });
  const program = await compileProgram(call.spec, { threads, provider, weights: base.weights });
  const output = await program.run(new BoundWeights(base.weights), call);
  await program.release();
  // A small matrix may be part of a joined product, which is not computed in 8 bits and so not observed.
  const weights = [...base.weights.keys()].filter(
    (name) => isLayerMatrix(name) && program.outputNames.includes(largestName(name)),
  );
  return new Map(
    weights.map((name) => [name, output(largestName(name)).map((size) => Math.max(size, SMALLEST) ** STRENGTH)]),
  );
}
