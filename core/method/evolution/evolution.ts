import { setImmediate } from 'node:timers/promises';
import { adaptableModules, expectedWeights } from '../../models/architecture/architecture.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { gaussianMatrices } from '../../linalg/svd/gaussian.ts';
import type { DenseMatrix } from '../../linalg/matrix.ts';
import type { MatrixProducts } from '../../linalg/products.ts';
import { randomizedSvd, type RandomizedSvdOptions } from '../../linalg/svd/randomized-svd.ts';
import { readChange, readDrift, type WeightChange } from './weight-change.ts';
import { totalDrift, type TensorDrift } from './drift.ts';
import type { WeightSource } from './weight-source.ts';

export type { WeightSource };

/** Low-rank evolution of one adaptable linear layer, W_new − W_old ≈ U diag(S) Vᵀ, with the layer's drift. */
export interface ModuleEvolution extends TensorDrift {
  readonly outFeatures: number;
  readonly inFeatures: number;
  /**
   * Number of directions kept of this module's change: at most the evolution's rank, fewer if the remaining directions
   * are negligible, and 0 if nothing changed.
   */
  readonly rank: number;
  /** Left singular vectors of the change, [outFeatures, rank], row-major. */
  readonly u: Float32Array;
  /** Singular values of the change, [rank], in descending order. */
  readonly s: Float32Array;
  /** Right singular vectors of the change, [inFeatures, rank], row-major. */
  readonly v: Float32Array;
  /**
   * Squared norms ‖W_old‖², ‖W_new‖² and ‖W_new − W_old‖² of each row of the weight, [3, outFeatures]. The fusion of
   * DoRA's magnitudes needs them.
   */
  readonly rowSquares: Float32Array;
}

/**
 * Change between two versions of a base model. It is computed once for a pair of versions and shared by all adapters of
 * the old version.
 */
export interface Evolution {
  readonly oldFingerprint: string;
  readonly newFingerprint: string;
  /** Largest number of directions kept of a module's change. */
  readonly rank: number;
  /** Adaptable modules by name (`model.layers.0.mlp.up_proj`), in the order of the base's modules. */
  readonly modules: ReadonlyMap<string, ModuleEvolution>;
  /** Drift of the tensors that no adapter changes (embeddings, head, norms, biases), by tensor name. */
  readonly unadaptable: ReadonlyMap<string, TensorDrift>;
  /** Drift of all tensors together. */
  readonly overall: TensorDrift;
  /** Drift of the adaptable modules together. */
  readonly adaptable: TensorDrift;
}

export interface EvolutionOptions {
  /** Largest number of directions to keep of each module's change. Default 32: twice the usual ranks of adapters. */
  readonly rank?: number;
  /** Seed of the randomized SVD's test matrices; equal seeds give equal factors. Default 0. */
  readonly seed?: number;
  /** Multiplication of the large matrices. Default: JavaScript on one thread, which is slow. */
  readonly products?: MatrixProducts | undefined;
  readonly signal?: AbortSignal;
  /** Called after every tensor with the number of tensors done and the number of all tensors. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Share of the largest singular value below which a singular value is dropped: float32 does not resolve it. */
const NEGLIGIBLE = 1e-7;

/**
 * Computes low-rank factors and drift of all changes from one base model version to the next, by a randomized SVD of
 * every adaptable module. Every tensor is read once, in name order (the order of fingerprints), and the next one is
 * read while the last change is decomposed. Beside the result, memory therefore holds two changes and one tensor of
 * each version, and never two models.
 * @param from the old version
 * @param to the new version
 * @throws AdaptationError `incompatible_evolution` if a tensor's shape differs between the versions
 */
export async function computeEvolution(
  from: WeightSource,
  to: WeightSource,
  options: EvolutionOptions = {},
): Promise<Evolution> {
  const { rank = 32, seed = 0, products } = options;
  const adaptable = new Set(adaptableModules(from.config).map(({ name }) => name));
  const names = expectedWeights(from.config).map(({ name }) => name);
  const modules = new Map<string, ModuleEvolution>();
  const unadaptable = new Map<string, TensorDrift>();
  const nextBuffer = alternatingBuffers(from.config);
  const decomposition = { rank, testMatrix: gaussianMatrices(seed), ...(products && { products }) };
  const read = async (name: string) => {
    // Reading weights that are already in memory never waits, so this gives the event loop a turn to deliver a
    // cancellation.
    await setImmediate();
    options.signal?.throwIfAborted();
    const found = adaptable.has(moduleOf(name))
      ? await readChange(name, from, to, nextBuffer())
      : await readDrift(name, from, to);
    return { name, found };
  };
  let done = 0;
  for await (const { name, found } of readAhead([...names].sort(), read)) {
    if ('delta' in found) modules.set(moduleOf(name), await decompose(found, decomposition));
    else unadaptable.set(name, found);
    options.signal?.throwIfAborted();
    options.onProgress?.(++done, names.length);
  }
  return {
    oldFingerprint: from.fingerprint,
    newFingerprint: to.fingerprint,
    rank,
    modules: inOrder(modules, [...adaptable]),
    unadaptable: inOrder(unadaptable, names),
    overall: totalDrift([...modules.values(), ...unadaptable.values()]),
    adaptable: totalDrift([...modules.values()]),
  };
}

/**
 * Returns a function that gives one of two buffers in turn, each large enough for any module, so that one is filled
 * while the change in the other is decomposed.
 */
function alternatingBuffers(config: ModelConfig): () => Float32Array {
  const sizes = adaptableModules(config).map(({ outFeatures, inFeatures }) => outFeatures * inFeatures);
  const length = Math.max(0, ...sizes);
  const buffers = [new Float32Array(length), new Float32Array(length)] as const;
  let turn = 0;
  return () => buffers[turn++ % 2 === 0 ? 0 : 1];
}

function moduleOf(weight: string): string {
  return weight.replace(/\.weight$/, '');
}

/**
 * Reads the tensors of the given names in order and yields each result. While the caller works on one tensor, the next
 * one is already being read.
 */
async function* readAhead<T>(names: readonly string[], read: (name: string) => Promise<T>): AsyncGenerator<T> {
  let next: Promise<T> | null = null;
  try {
    for (const [index, name] of names.entries()) {
      const value: T = await (next ?? read(name));
      const following = names[index + 1];
      next = following === undefined ? null : read(following);
      // If the caller stops early, nothing else handles this rejection.
      next?.catch(() => undefined);
      yield value;
    }
  } finally {
    // The sources may be closed afterwards, so no read may still be running.
    await next?.catch(() => undefined);
  }
}

/** Returns the entries of a map in the order of `keys`. */
function inOrder<T>(entries: ReadonlyMap<string, T>, keys: readonly string[]): Map<string, T> {
  const ordered = new Map<string, T>();
  for (const key of keys) {
    const value = entries.get(key);
    if (value !== undefined) ordered.set(key, value);
  }
  return ordered;
}

async function decompose(change: WeightChange, options: RandomizedSvdOptions): Promise<ModuleEvolution> {
  const { rows: outFeatures, cols: inFeatures } = change.delta;
  const shape = { outFeatures, inFeatures, ...change.drift, rowSquares: change.rowSquares };
  if (change.drift.deltaNorm === 0) {
    return { ...shape, rank: 0, u: new Float32Array(0), s: new Float32Array(0), v: new Float32Array(0) };
  }
  const { u, s, v } = await randomizedSvd(change.delta, options);
  const [largest = 0] = s;
  const kept = s.filter((value) => value > NEGLIGIBLE * largest).length;
  return {
    ...shape,
    rank: kept,
    u: leadingColumns(u, kept),
    s: Float32Array.from(s.subarray(0, kept)),
    v: leadingColumns(v, kept),
  };
}

function leadingColumns({ rows, cols, data }: DenseMatrix, count: number): Float32Array {
  if (count === cols && data instanceof Float32Array) return data;
  const out = new Float32Array(rows * count);
  for (let i = 0; i < rows; i++) out.set(data.subarray(i * cols, i * cols + count), i * count);
  return out;
}
