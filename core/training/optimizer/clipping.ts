import type { Arrays } from './adamw.ts';

/** Returns the square root of the sum of the squares of all elements of all arrays. */
export function globalNorm(arrays: Arrays): number {
  let squares = 0;
  for (const values of arrays.values()) squares += sumOfSquares(values);
  return Math.sqrt(squares);
}

/**
 * Returns the sum of the squares of an array's elements. It keeps four partial sums, which the processor can compute in
 * parallel.
 */
function sumOfSquares(values: Float32Array): number {
  const even = values.length - (values.length % 4);
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  for (let i = 0; i < even; i += 4) {
    const [a, b, c, d] = [values[i]!, values[i + 1]!, values[i + 2]!, values[i + 3]!];
    s0 += a * a;
    s1 += b * b;
    s2 += c * c;
    s3 += d * d;
  }
  for (let i = even; i < values.length; i++) s0 += values[i]! ** 2;
  return s0 + s1 + (s2 + s3);
}

/**
 * Scales all arrays in place by one factor, if needed, so that their joint Euclidean norm is at most `maxNorm` (Pascanu
 * et al. 2013).
 * @returns the norm before scaling
 * @throws RangeError if `maxNorm` is not positive, or if the norm is not finite
 */
export function clipGlobalNorm(arrays: Arrays, maxNorm: number): number {
  if (!(maxNorm > 0)) throw new RangeError(`maxNorm is ${maxNorm}, expected a positive number`);
  const norm = globalNorm(arrays);
  if (!Number.isFinite(norm)) throw new RangeError(`the gradients' norm is ${norm}, expected a finite number`);
  if (norm > maxNorm) for (const values of arrays.values()) scale(values, maxNorm / norm);
  return norm;
}

function scale(values: Float32Array, factor: number): void {
  for (let i = 0; i < values.length; i++) values[i]! *= factor;
}
