import { setImmediate } from 'node:timers/promises';
import { adaptableModules, expectedWeights } from '../../models/architecture/architecture.ts';
import type { Tensor } from '../../models/base-model.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import { Random } from '../../statistics/random.ts';
import { rowSquares } from '../../linalg/row-squares.ts';
import { AdaptationError } from '../errors.ts';
import type { Matrix } from '../../linalg/matrix.ts';
import { randomizedSvd } from '../../linalg/randomized-svd.ts';
import { stackRowSquares } from './row-norms.ts';

/** How far one tensor moved between two versions (Frobenius norms). */
export interface TensorDrift {
  /** ‖W_new − W_old‖ */
  readonly deltaNorm: number;
  /** ‖W_old‖ */
  readonly weightNorm: number;
  /** deltaNorm / weightNorm */
  readonly drift: number;
}

/** W_new − W_old of one adaptable linear layer, as U diag(S) Vᵀ. */
export interface ModuleEvolution extends TensorDrift {
  readonly outFeatures: number;
  readonly inFeatures: number;
  /** Directions kept: at most the evolution's rank, fewer where the rest is nothing, 0 where nothing changed. */
  readonly rank: number;
  /** [outFeatures, rank], row-major. */
  readonly u: Float32Array;
  /** [rank], descending. */
  readonly s: Float32Array;
  /** [inFeatures, rank], row-major. */
  readonly v: Float32Array;
  /** [3, outFeatures]: ‖W_old‖², ‖W_new‖² and ‖W_new − W_old‖² of each row, which DoRA's magnitudes are fused with. */
  readonly rowSquares: Float32Array;
}

/** What changed between two versions of a base model: computed once, shared by every adapter of the old version. */
export interface Evolution {
  readonly oldFingerprint: string;
  readonly newFingerprint: string;
  /** Upper bound of the modules' ranks. */
  readonly rank: number;
  /** By module name (`model.layers.0.mlp.up_proj`), in the order of the base's modules. */
  readonly modules: ReadonlyMap<string, ModuleEvolution>;
  /** Drift of what no adapter can carry (embeddings, norms, head), by tensor name. */
  readonly unadaptable: ReadonlyMap<string, TensorDrift>;
  /** Drift of all tensors together, and of the adaptable ones alone. */
  readonly overall: TensorDrift;
  readonly adaptable: TensorDrift;
}

/** One base version, read tensor by tensor. */
export interface WeightSource {
  readonly config: ModelConfig;
  /** Asked for when every tensor was read, so that a source may find it on the way. */
  readonly fingerprint: string;
  /** @param name the tensor's Hugging Face name; the result is the caller's alone while it needs it */
  readWeight(name: string): Promise<Tensor>;
}

export interface EvolutionOptions {
  /** Directions kept of every module. Default 32: the adapter ranks in use plus room for a second direction each. */
  readonly rank?: number;
  readonly oversampling?: number;
  readonly powerIterations?: number;
  /** Seeds the test matrices; equal seeds give equal factors. Default 0. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
  /** Called after every tensor. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Singular values below this share of the largest are beneath float32's resolution and are dropped. */
const NEGLIGIBLE = 1e-7;

/**
 * Low-rank factors and drift of everything that changed from one base version to the next. Every tensor is read once, in
 * the order of names that fingerprints are taken in, and let go of before the next: beside the result, memory holds one
 * tensor of each version, never two models.
 * @throws AdaptationError `incompatible_evolution` where a tensor's shape differs between the versions
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
    // Weights that are in memory already never wait for anything: let a cancellation through.
    await setImmediate();
    options.signal?.throwIfAborted();
    const module = name.replace(/\.weight$/, '');
    if (!adaptable.has(module)) unadaptable.set(name, await readDrift(name, from, to));
    else modules.set(module, decompose(await readChange(name, from, to), { ...options, rank, random }));
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

/** The entries that a map has, in the order of `keys`. */
function inOrder<T>(entries: ReadonlyMap<string, T>, keys: readonly string[]): Map<string, T> {
  return new Map(keys.filter((key) => entries.has(key)).map((key) => [key, entries.get(key)!]));
}

interface Change {
  readonly drift: TensorDrift;
  readonly shape: readonly number[];
  readonly delta: Float64Array;
  /** See {@link ModuleEvolution}. */
  readonly rowSquares: Float32Array;
}

/** The old tensor is let go of before the new one is read: the difference takes its place. */
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

/** Of a tensor whose difference is not needed: an embedding is the largest tensor of a small model. */
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
  const message = `tensor ${name} has shape [${after.join(', ')}] in the new version, [${before.join(', ')}] in the old`;
  throw new AdaptationError('incompatible_evolution', message);
}

function decompose(change: Change, options: EvolutionOptions & { rank: number; random: Random }): ModuleEvolution {
  const [outFeatures, inFeatures] = change.shape as [number, number];
  const shape = { outFeatures, inFeatures, ...change.drift, rowSquares: change.rowSquares };
  if (change.drift.deltaNorm === 0) {
    return { ...shape, rank: 0, u: new Float32Array(0), s: new Float32Array(0), v: new Float32Array(0) };
  }
  const { u, s, v } = randomizedSvd({ rows: outFeatures, cols: inFeatures, data: change.delta }, options);
  const kept = s.filter((value) => value > NEGLIGIBLE * s[0]!).length;
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

/** Of several tensors together. */
export function totalDrift(parts: readonly TensorDrift[]): TensorDrift {
  return driftOf(
    parts.reduce((sum, { deltaNorm }) => sum + deltaNorm ** 2, 0),
    parts.reduce((sum, { weightNorm }) => sum + weightNorm ** 2, 0),
  );
}

/** A change from zero weights has no finite ratio: its drift is Infinity where anything changed, else 0. */
export function driftOf(deltaSquares: number, weightSquares: number): TensorDrift {
  const deltaNorm = Math.sqrt(deltaSquares);
  const weightNorm = Math.sqrt(weightSquares);
  return { deltaNorm, weightNorm, drift: deltaNorm === 0 ? 0 : deltaNorm / weightNorm };
}
