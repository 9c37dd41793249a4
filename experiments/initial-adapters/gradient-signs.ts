import type { Batch, Runtime } from '../../core/engine/runtime.ts';
import { identity, type DenseMatrix } from '../../core/linalg/matrix.ts';
import type { MatrixProducts } from '../../core/linalg/products.ts';
import { gaussianMatrices } from '../../core/linalg/svd/gaussian.ts';
import { randomizedSvd } from '../../core/linalg/svd/randomized-svd.ts';
import type { Evolution } from '../../core/method/evolution/evolution.ts';
import { NOTHING, type Coefficients } from '../../core/method/fusion/coefficients.ts';
import { stackedAdapter } from '../../core/method/search/gradients/coefficient-gradients.ts';
import type { Adapter, LoraFactors } from '../../core/models/lora/adapter.ts';
import { weightGradients } from '../../core/training/weight-gradients.ts';

/** The most rows whose votes an Int8Array can count. */
const MOST_ROWS = 127;

/** Of each weight, the number of rows whose gradient is positive there less that of rows where it is negative, by module. */
export type SignVotes = ReadonlyMap<string, Int8Array>;

/**
 * Lets rows vote on the signs of the gradient at the base itself (Rinaldi et al., GradFix, arXiv 2510.09658, whose majority of samples is
 * what their code takes by default).
 * @param batches one for each row
 * @param parts number of parts of each gradient, which take a pass for each row
 * @throws RangeError for more than 127 rows
 */
export async function voteOnSigns(
  runtime: Runtime,
  like: Adapter,
  batches: readonly Batch[],
  options: { readonly parts: number; readonly signal: AbortSignal },
): Promise<SignVotes> {
  if (batches.length > MOST_ROWS)
    throw new RangeError(`found ${batches.length} rows to vote on signs, expected at most ${MOST_ROWS}`);
  const votes = new Map(
    [...like.modules].map(([name, one]) => [name, new Int8Array(one.outFeatures * one.inFeatures)]),
  );
  for await (const gradients of weightGradients(runtime, like, batches, options)) {
    for (const [name, { from, to, width, data }] of gradients) {
      const { inFeatures, outFeatures } = like.modules.get(name)!;
      const own = votes.get(name)!;
      for (let i = 0; i < outFeatures; i++) {
        for (let j = from; j < to; j++) own[i * inFeatures + j]! += Math.sign(data[i * width + j - from]!);
      }
    }
  }
  return votes;
}

export interface MaskTask {
  readonly old: Adapter;
  readonly evolution: Evolution;
  readonly votes: SignVotes;
  /** How much of the base's change is added to the masked update: 0 for a copy, −1 for a revert. */
  readonly beta: number;
  readonly products: MatrixProducts;
}

/**
 * Keeps of the old update P = s · B A the weights at which it points against the majority's gradient, adds beta · U S Vᵀ, and truncates
 * the sum to the old rank by a randomized SVD, one dense matrix at a time.
 */
export async function maskedAdapter(task: MaskTask): Promise<Adapter> {
  const { old, products } = task;
  const testMatrix = gaussianMatrices(0);
  const modules = new Map<string, LoraFactors>();
  for await (const { name, factors, dense } of maskedUpdates(task)) {
    const triplets = await randomizedSvd(dense, { rank: factors.rank, testMatrix, products });
    modules.set(name, { ...factors, ...balanced(factors, triplets) });
  }
  return { config: old.config, modules };
}

/** The same without the truncation, as B times the identity. Only a runtime can use it: its configuration states no such ranks. */
export async function wholeMaskedAdapter(task: MaskTask): Promise<Adapter> {
  const modules = new Map<string, LoraFactors>();
  for await (const { name, factors, dense } of maskedUpdates(task)) {
    const rank = factors.inFeatures;
    const [a, b] = [identity(rank).data, dense.data].map((data) => Float32Array.from(data));
    modules.set(name, { ...factors, rank, scaling: 1, a: a!, b: b! });
  }
  return { config: task.old.config, modules };
}

async function* maskedUpdates({ old, evolution, votes, beta, products }: MaskTask) {
  const parts = (coefficients: Coefficients) => stackedAdapter(old, evolution, coefficients);
  const [updates, changes] = [parts({ alpha: 1, beta: 0 }), parts({ ...NOTHING, beta })];
  for (const [name, factors] of old.modules) {
    const dense = await productOf(updates.modules.get(name)!, products);
    const own = votes.get(name)!;
    const change = beta === 0 ? null : await productOf(changes.modules.get(name)!, products);
    dense.data.forEach((value, i) => {
      dense.data[i] = (value * own[i]! < 0 ? value : 0) + (change?.data[i] ?? 0);
    });
    yield { name, factors, dense };
  }
}

/** B A of factors whose scaling is 1, [outFeatures, inFeatures]. */
function productOf({ a, b, rank, inFeatures, outFeatures }: LoraFactors, products: MatrixProducts) {
  return products.times({ rows: outFeatures, cols: rank, data: b }, { rows: rank, cols: inFeatures, data: a });
}

interface Triplets {
  readonly u: DenseMatrix;
  readonly s: Float64Array;
  readonly v: DenseMatrix;
}

/** U √(S / s) and √(S / s) Vᵀ; directions that are missing are zero. */
function balanced({ rank, scaling, inFeatures, outFeatures }: LoraFactors, { u, s, v }: Triplets) {
  const [a, b] = [new Float32Array(rank * inFeatures), new Float32Array(outFeatures * rank)];
  for (const [k, value] of s.entries()) {
    const root = Math.sqrt(value / scaling);
    for (let i = 0; i < outFeatures; i++) b[i * rank + k] = root * u.data[i * u.cols + k]!;
    for (let j = 0; j < inFeatures; j++) a[k * inFeatures + j] = root * v.data[j * v.cols + k]!;
  }
  return { a, b };
}
