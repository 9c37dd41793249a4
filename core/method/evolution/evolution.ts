import { setImmediate } from 'node:timers/promises';
import { adaptableModules, expectedWeights } from '../../models/architecture/architecture.ts';
import type { Tensor } from '../../models/base-model.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { Random } from '../../statistics/random.ts';
import type { Matrix } from '../../linalg/matrix.ts';
import { randomizedSvd } from '../../linalg/randomized-svd.ts';
import { rowSquares } from '../../linalg/row-squares.ts';
import { AdaptationError } from '../errors.ts';
import { driftOf, totalDrift, type TensorDrift } from './drift.ts';
import { stackRowSquares } from './row-norms.ts';

/** The evolution of one adaptable linear layer, W_new − W_old ≈ U diag(S) Vᵀ, with its drift. */
export interface ModuleEvolution extends TensorDrift {
  readonly outFeatures: number;
  readonly inFeatures: number;
  /** Number of directions kept: at most the evolution's rank, fewer if the others are negligible, 0 if nothing changed. */
  readonly rank: number;
  /** Left singular vectors, [outFeatures, rank], row-major. */
  readonly u: Float32Array;
  /** Singular values, [rank], descending. */
  readonly s: Float32Array;
  /** Right singular vectors, [inFeatures, rank], row-major. */
  readonly v: Float32Array;
  /** ‖W_old‖², ‖W_new‖² and ‖W_new − W_old‖² of each row, [3, outFeatures]; the fusion of DoRA's magnitudes needs them. */
  readonly rowSquares: Float32Array;
}

/**
 * What changed between two versions of a base model. It is computed once for a pair of versions and shared by all adapters
 * of the old version.
 */
export interface Evolution {
  readonly oldFingerprint: string;
  readonly newFingerprint: string;
  /** Upper bound of the modules' ranks. */
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

/** One base model version whose weights are read tensor by tensor. */
export interface WeightSource {
  readonly config: ModelConfig;
  /** Only read after every tensor was read, so that a source can compute it while reading. */
  readonly fingerprint: string;
  /**
   * @param name the tensor's Hugging Face name
   * @returns a tensor that the source does not change while the caller uses it
   */
  readWeight(name: string): Promise<Tensor>;
}

export interface EvolutionOptions {
  /** Number of directions kept of every module. Default 32: twice the usual ranks of adapters. */
  readonly rank?: number;
  /** Seed of the randomized SVD's test matrices; equal seeds give equal factors. Default 0. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** Called after every tensor with the number of tensors done and the number of all tensors. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Singular values below this share of the largest are below float32's resolution and are dropped. */
const NEGLIGIBLE = 1e-7;

/**
 * Computes low-rank factors and drift of everything that changed from one base model version to the next, by a randomized
 * SVD of every adaptable module. Every tensor is read once, in name order (the order of fingerprints), and released before
 * the next one. Beside the result, memory therefore holds one tensor of each version, and never two models.
 * @param from the old version
 * @param to the new version
 * @throws AdaptationError `incompatible_evolution` if a tensor's shape differs between the versions
 */
export async function computeEvolution(
  from: WeightSource,
  to: WeightSource,
  options: EvolutionOptions = {},
): Promise<Evolution> {
  const { rank = 32, seed = 0 } = options;
  const random = Random.fromSeed(seed);
  const adaptable = new Set(adaptableModules(from.config).map(({ name }) => name));
  const names = expectedWeights(from.config).map(({ name }) => name);
  const modules = new Map<string, ModuleEvolution>();
  const unadaptable = new Map<string, TensorDrift>();
  for (const [index, name] of [...names].sort().entries()) {
    // Reading weights that are already in memory never waits, so the event loop gets a turn here to deliver a cancellation.
    await setImmediate();
    options.signal?.throwIfAborted();
    const module = name.replace(/\.weight$/, '');
    if (!adaptable.has(module)) unadaptable.set(name, await readDrift(name, from, to));
    else modules.set(module, decompose(await readChange(name, from, to), rank, random));
    options.onProgress?.(index + 1, names.length);
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

/** The entries of a map, in the order of `keys`. */
function inOrder<T>(entries: ReadonlyMap<string, T>, keys: readonly string[]): Map<string, T> {
  const ordered = new Map<string, T>();
  for (const key of keys) {
    const value = entries.get(key);
    if (value !== undefined) ordered.set(key, value);
  }
  return ordered;
}

interface Change {
  readonly drift: TensorDrift;
  readonly shape: readonly number[];
  /** W_new − W_old, row-major. */
  readonly delta: Float64Array;
  /** See {@link ModuleEvolution.rowSquares}. */
  readonly rowSquares: Float32Array;
}

/** Reads one tensor of both versions. The old one is released before the new one is read: the difference replaces it. */
async function readChange(name: string, from: WeightSource, to: WeightSource): Promise<Change> {
  const { shape, delta } = await readNegated(name, from);
  let weightSquares = 0;
  for (let i = 0; i < delta.length; i++) weightSquares += delta[i]! ** 2;
  const before = rowSquares({ shape, data: delta });
  const after = await to.readWeight(name);
  requireShape(name, shape, after.shape);
  let deltaSquares = 0;
  for (let i = 0; i < delta.length; i++) {
    delta[i]! += after.data[i]!;
    deltaSquares += delta[i]! ** 2;
  }
  const rows = stackRowSquares(before, rowSquares(after), rowSquares({ shape, data: delta }));
  return { drift: driftOf(deltaSquares, weightSquares), shape, delta, rowSquares: rows };
}

async function readNegated(name: string, from: WeightSource): Promise<Pick<Change, 'shape' | 'delta'>> {
  const { shape, data } = await from.readWeight(name);
  const delta = new Float64Array(data.length);
  for (let i = 0; i < delta.length; i++) delta[i] = -data[i]!;
  return { shape, delta };
}

/** Reads the drift of a tensor without storing the difference, since an embedding may be the model's largest tensor. */
async function readDrift(name: string, from: WeightSource, to: WeightSource): Promise<TensorDrift> {
  const before = await from.readWeight(name);
  const after = await to.readWeight(name);
  requireShape(name, before.shape, after.shape);
  let [deltaSquares, weightSquares] = [0, 0];
  for (let i = 0; i < before.data.length; i++) {
    deltaSquares += (after.data[i]! - before.data[i]!) ** 2;
    weightSquares += before.data[i]! ** 2;
  }
  return driftOf(deltaSquares, weightSquares);
}

function requireShape(name: string, before: readonly number[], after: readonly number[]): void {
  if (before.join() === after.join()) return;
  const message = `tensor ${name} has shape [${after.join(', ')}] in the new version, expected [${before.join(', ')}] as in the old one`;
  throw new AdaptationError('incompatible_evolution', message);
}

function decompose(change: Change, rank: number, random: Random): ModuleEvolution {
  const [outFeatures, inFeatures] = change.shape as [number, number];
  const shape = { outFeatures, inFeatures, ...change.drift, rowSquares: change.rowSquares };
  if (change.drift.deltaNorm === 0) {
    return { ...shape, rank: 0, u: new Float32Array(0), s: new Float32Array(0), v: new Float32Array(0) };
  }
  const { u, s, v } = randomizedSvd({ rows: outFeatures, cols: inFeatures, data: change.delta }, { rank, random });
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

function leadingColumns(a: Matrix, count: number): Float32Array {
  const out = new Float32Array(a.rows * count);
  for (let i = 0; i < a.rows; i++) out.set(a.data.subarray(i * a.cols, i * a.cols + count), i * count);
  return out;
}
