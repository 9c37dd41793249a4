import type { Arrays } from './adamw.ts';

/** Euclidean norm over all elements of all arrays. */
export function globalNorm(arrays: Arrays): number {
  let squares = 0;
  for (const values of arrays.values()) for (const value of values) squares += value * value;
  return Math.sqrt(squares);
}

/**
 * Scales all arrays by one factor so that their global norm is at most `maxNorm` (Pascanu et al. 2013).
 * @returns new arrays, or the ones given where nothing has to be clipped, and the norm before clipping
 * @throws RangeError for a norm that is not finite: such gradients cannot be mended
 */
export function clipGlobalNorm(arrays: Arrays, maxNorm: number): { readonly arrays: Arrays; readonly norm: number } {
  if (!(maxNorm > 0)) throw new RangeError(`maxNorm is ${maxNorm}, expected a positive number`);
  const norm = globalNorm(arrays);
  if (!Number.isFinite(norm)) throw new RangeError(`the gradients' norm is ${norm}, expected a finite number`);
  if (norm <= maxNorm) return { arrays, norm };
  const factor = maxNorm / norm;
  return { arrays: new Map([...arrays].map(([name, values]) => [name, values.map((value) => value * factor)])), norm };
}
