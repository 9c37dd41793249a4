import type { Adapter, LoraFactors } from '../../core/models/lora/adapter.ts';
import { Random } from '../../core/statistics/random.ts';
import type { ModuleEvolution } from '../../core/method/evolution/evolution.ts';
import { frobeniusNorm, zeros } from '../../core/linalg/matrix.ts';
import { qr } from '../../core/linalg/qr.ts';

export interface BenchModule {
  readonly name: string;
  readonly old: LoraFactors;
  readonly change: ModuleEvolution;
}

/** Output and input features of the projections of one SmolLM2-135M layer, of which there are 30. */
const PROJECTIONS: readonly (readonly [string, number, number])[] = [
  ['self_attn.q_proj', 576, 576],
  ['self_attn.k_proj', 192, 576],
  ['self_attn.v_proj', 192, 576],
  ['self_attn.o_proj', 576, 576],
  ['mlp.gate_proj', 1536, 576],
  ['mlp.up_proj', 1536, 576],
  ['mlp.down_proj', 576, 1536],
];

/**
 * An adapter of SmolLM2-135M's shapes with random factors, and a change with orthonormal random directions whose
 * singular values fall from 1 to 0.2, about as large as the adapter's own.
 */
export function benchModules({ layers, rank, directions, seed }: WorkloadOptions): BenchModule[] {
  const random = Random.fromSeed(seed);
  return Array.from({ length: layers }, (_, layer) =>
    PROJECTIONS.map(([projection, outFeatures, inFeatures]) => {
      const name = `model.layers.${layer}.${projection}`;
      const shape = { outFeatures, inFeatures };
      return { name, old: randomFactors(shape, rank, random), change: randomChange(shape, directions, random) };
    }),
  ).flat();
}

export interface WorkloadOptions {
  readonly layers: number;
  readonly rank: number;
  /** Directions kept of the base's change. */
  readonly directions: number;
  readonly seed: number;
}

interface Shape {
  readonly outFeatures: number;
  readonly inFeatures: number;
}

function randomFactors({ outFeatures, inFeatures }: Shape, rank: number, random: Random): LoraFactors {
  const normals = (length: number, spread: number) => Float32Array.from({ length }, () => spread * random.normal());
  const a = normals(rank * inFeatures, 1 / Math.sqrt(inFeatures));
  const b = normals(outFeatures * rank, 0.5 / Math.sqrt(outFeatures));
  return { rank, inFeatures, outFeatures, scaling: 2, a, b };
}

function randomChange({ outFeatures, inFeatures }: Shape, rank: number, random: Random): ModuleEvolution {
  const s = Float32Array.from({ length: rank }, (_, i) => 0.2 ** (i / Math.max(1, rank - 1)));
  const factors = { u: orthonormal(outFeatures, rank, random), s, v: orthonormal(inFeatures, rank, random) };
  return {
    outFeatures,
    inFeatures,
    rank,
    ...factors,
    rowSquares: new Float32Array(3 * outFeatures),
    deltaNorm: frobeniusNorm(s),
    weightNorm: 1,
    drift: frobeniusNorm(s),
  };
}

function orthonormal(rows: number, cols: number, random: Random): Float32Array {
  const gaussian = zeros(rows, cols);
  for (let i = 0; i < gaussian.data.length; i++) gaussian.data[i] = random.normal();
  return Float32Array.from(qr(gaussian).q.data);
}

/** ‖x − y‖ / ‖y‖ over the products of all modules, computed from the factors' small Gram matrices. */
export function relativeDifference(x: readonly LoraFactors[], y: readonly LoraFactors[]): number {
  let difference = 0;
  let total = 0;
  x.forEach((left, i) => {
    const right = y[i]!;
    const own = inner(right, right);
    difference += inner(left, left) - 2 * inner(left, right) + own;
    total += own;
  });
  return Math.sqrt(Math.max(0, difference) / total);
}

/** ⟨s B A, s′ B′ A′⟩ */
function inner(x: LoraFactors, y: LoraFactors): number {
  let sum = 0;
  for (let k = 0; k < x.rank; k++) {
    for (let l = 0; l < y.rank; l++) {
      let left = 0;
      for (let i = 0; i < x.outFeatures; i++) left += x.b[i * x.rank + k]! * y.b[i * y.rank + l]!;
      let right = 0;
      for (let j = 0; j < x.inFeatures; j++) right += x.a[k * x.inFeatures + j]! * y.a[l * y.inFeatures + j]!;
      sum += left * right;
    }
  }
  return x.scaling * y.scaling * sum;
}

/** Factors of an adapter, in the order of the modules. */
export function factorsOf(adapter: Adapter): LoraFactors[] {
  return [...adapter.modules.values()];
}
