import { createHash } from 'node:crypto';

/** Seed and version of the weights to draw. */
export interface WeightsOptions {
  readonly seed: number;
  /** Size of the noise that a later version adds to version 1, relative to its weights. 0 is version 1 itself. */
  readonly change: number;
}

/** Standard deviation of a matrix, as is usual for initialization. */
const DEVIATION = 0.02;

/** Width of a uniform distribution with variance 1. */
const UNIFORM_WIDTH = Math.sqrt(12);

/**
 * Draws one tensor, the same for the same name and options: matrices uniformly with a standard deviation of 0.02, norms
 * around 1, biases around 0.
 * @param size number of elements
 */
export function randomWeights(name: string, size: number, { seed, change }: WeightsOptions): Float32Array {
  const values = new Float32Array(size);
  const center = name.endsWith('norm.weight') ? 1 : 0;
  const draw = uniform(`${seed}:${name}`);
  for (let i = 0; i < size; i++) values[i] = center + DEVIATION * draw();
  if (change === 0) return values;
  const drawChange = uniform(`${seed}:${name}:change`);
  for (let i = 0; i < size; i++) values[i]! += change * DEVIATION * drawChange();
  return values;
}

/** Returns a generator of numbers with mean 0 and variance 1 (xorshift32; Marsaglia 2003, Xorshift RNGs). */
function uniform(key: string): () => number {
  let state = createHash('sha256').update(key).digest().readUInt32LE() || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) / 2 ** 32 - 0.5) * UNIFORM_WIDTH;
  };
}
