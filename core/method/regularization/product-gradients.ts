import type { LoraFactors } from '../../models/lora/adapter.ts';

/**
 * Gradients of a LoRA module's factors, in their shapes: `a` is [rank, inFeatures] and `b` [outFeatures, rank],
 * row-major.
 */
interface ProductGradients {
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/**
 * Gradients of ½ ‖s (B A − B₀ A₀)‖², which is half the squared distance between two updates of a layer's weights. With
 * D = BA − B₀A₀,
 *
 *     ∂/∂B = s² D Aᵀ = s² (B (AAᵀ) − B₀ (A₀Aᵀ)),   ∂/∂A = s² Bᵀ D = s² ((BᵀB) A − (BᵀB₀) A₀)
 *
 * The products in parentheses are computed first: they have rank × rank numbers, so that neither BA nor B₀A₀ is formed.
 * @param factors A, B and the scaling s of the adapter in training
 * @param origin A₀ and B₀ of the same layer, with the same scaling; their rank may differ
 */
export function productGradients(factors: LoraFactors, origin: LoraFactors): ProductGradients {
  const a = new Float32Array(factors.a.length);
  const b = new Float32Array(factors.b.length);
  const square = factors.scaling ** 2;
  addProducts({ a, b }, factors, grams(factors, factors), square);
  addProducts({ a, b }, origin, grams(factors, origin), -square);
  return { a, b };
}

/** Gram matrices of two modules' factors: `b` is B₁ᵀB₂ and `a` is A₁A₂ᵀ, each [r₁, r₂] for their ranks, row-major. */
interface Grams {
  readonly b: Float64Array;
  readonly a: Float64Array;
}

function grams(first: LoraFactors, second: LoraFactors): Grams {
  const [rows, cols] = [first.rank, second.rank];
  const { inFeatures, outFeatures } = first;
  const a = new Float64Array(rows * cols);
  const b = new Float64Array(rows * cols);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) {
      let sum = 0;
      for (let k = 0; k < inFeatures; k++) sum += first.a[i * inFeatures + k]! * second.a[j * inFeatures + k]!;
      a[i * cols + j] = sum;
      sum = 0;
      for (let k = 0; k < outFeatures; k++) sum += first.b[k * rows + i]! * second.b[k * cols + j]!;
      b[i * cols + j] = sum;
    }
  }
  return { a, b };
}

/**
 * Adds factor · (BᵀB′) A′ to `into.a`, [r, inFeatures], and factor · B′ (A A′ᵀ)ᵀ to `into.b`, [outFeatures, r]. The
 * second argument holds A′ and B′, of rank r′. `gram` holds BᵀB′ and A A′ᵀ, each [r, r′].
 */
function addProducts(
  into: ProductGradients,
  { a, b, rank, inFeatures, outFeatures }: LoraFactors,
  gram: Grams,
  factor: number,
): void {
  const rows = gram.a.length / rank;
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < rank; j++) {
      const left = factor * gram.b[i * rank + j]!;
      const right = factor * gram.a[i * rank + j]!;
      for (let k = 0; k < inFeatures; k++) into.a[i * inFeatures + k]! += left * a[j * inFeatures + k]!;
      for (let k = 0; k < outFeatures; k++) into.b[k * rows + i]! += right * b[k * rank + j]!;
    }
  }
}
