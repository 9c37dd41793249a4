import { Random } from '../../statistics/random.ts';
import type { DenseMatrix } from '../matrix.ts';

/** Returns a standard normal test matrix of the given size; equal sizes give the same matrix. */
export type TestMatrices = (rows: number, cols: number) => DenseMatrix;

/**
 * Makes test matrices for {@link randomizedSvd} from a seed. Each size is drawn once, since drawing takes longer than
 * multiplying. Several decompositions may share a test matrix, because it is random with respect to each of them.
 */
export function gaussianMatrices(seed: number): TestMatrices {
  const drawn = new Map<string, DenseMatrix>();
  return (rows, cols) => {
    const key = `${rows} × ${cols}`;
    const known = drawn.get(key);
    if (known) return known;
    const random = Random.fromSeed(seed);
    const made = { rows, cols, data: Float32Array.from({ length: rows * cols }, () => random.normal()) };
    drawn.set(key, made);
    return made;
  };
}
