import type { Adapter, LoraFactors } from '../../../../core/models/lora/adapter.ts';
import { Random } from '../../../../core/statistics/random.ts';
import { rowSquares } from '../../../../core/linalg/row-squares.ts';
import type { Evolution, ModuleEvolution } from '../../../../core/method/evolution/evolution.ts';
import { driftOf } from '../../../../core/method/evolution/drift.ts';
import { matmul, matmulTransposed } from '../../../../core/linalg/matmul.ts';
import { matrix, scaleColumns, zeros, type Matrix } from '../../../../core/linalg/matrix.ts';
import { svd } from '../../../../core/linalg/svd/svd.ts';
import { frobeniusNorm } from './matrices.ts';

export interface ModuleShape {
  readonly name: string;
  readonly outFeatures: number;
  readonly inFeatures: number;
}

function randomFactors(shape: ModuleShape, rank: number, scaling: number, random: Random): LoraFactors {
  const normals = (length: number) => Float32Array.from({ length }, () => random.normal());
  const { outFeatures, inFeatures } = shape;
  return { rank, inFeatures, outFeatures, scaling, a: normals(rank * inFeatures), b: normals(outFeatures * rank) };
}

export function randomAdapter(shapes: readonly ModuleShape[], rank: number, alpha: number, seed: number): Adapter {
  const random = Random.fromSeed(seed);
  const modules = shapes.map((shape) => [shape.name, randomFactors(shape, rank, alpha / rank, random)] as const);
  const targetModules = shapes.map(({ name }) => name);
  const config = { rank, alpha, useRslora: false, targetModules, rankPattern: {}, alphaPattern: {} };
  return { config, modules: new Map(modules) };
}

/** scaling · B A, [outFeatures, inFeatures]. */
export function productOf(factors: LoraFactors): Matrix {
  const { rank, inFeatures, outFeatures, scaling } = factors;
  const product = matmul(matrix(outFeatures, rank, factors.b), matrix(rank, inFeatures, factors.a));
  return scaleColumns(product, new Float64Array(inFeatures).fill(scaling));
}

/**
 * Builds an evolution from given differences, with all their singular triplets.
 * @param oldWeights needed if the norms of rows matter; default zeros
 */
export function evolutionOf(deltas: ReadonlyMap<string, Matrix>, oldWeights?: ReadonlyMap<string, Matrix>): Evolution {
  const modules = [...deltas].map(([name, delta]): [string, ModuleEvolution] => {
    const { u, s, v } = svd(delta);
    const rank = frobeniusNorm(delta.data) === 0 ? 0 : s.length;
    const factors = { u: Float32Array.from(u.data), s: Float32Array.from(s), v: Float32Array.from(v.data) };
    const none = { u: new Float32Array(0), s: new Float32Array(0), v: new Float32Array(0) };
    const drift = driftOf(frobeniusNorm(delta.data) ** 2, 1);
    const shape = {
      outFeatures: delta.rows,
      inFeatures: delta.cols,
      rank,
      rowSquares: rowSquaresOf(delta, oldWeights?.get(name)),
    };
    return [name, { ...shape, ...(rank ? factors : none), ...drift }];
  });
  const total = driftOf(
    modules.reduce((sum, [, { deltaNorm }]) => sum + deltaNorm ** 2, 0),
    modules.length,
  );
  const fingerprints = { oldFingerprint: 'old', newFingerprint: 'new' };
  const rank = Math.max(0, ...modules.map(([, module]) => module.rank));
  return { ...fingerprints, rank, modules: new Map(modules), unadaptable: new Map(), overall: total, adaptable: total };
}

function rowSquaresOf(delta: Matrix, old: Matrix = zeros(delta.rows, delta.cols)): Float32Array {
  const after = delta.data.map((value, i) => old.data[i]! + value);
  const squares = (data: Float64Array) => rowSquares({ shape: [delta.rows, delta.cols], data });
  return Float32Array.from([old.data, after, delta.data].flatMap((data) => [...squares(data)]));
}

/** alpha · product of the old factors + beta · delta, dense. */
export function denseTarget(old: LoraFactors, delta: Matrix, alpha: number, beta: number): Matrix {
  return { ...delta, data: productOf(old).data.map((value, i) => alpha * value + beta * delta.data[i]!) };
}

/** Best approximation of a given rank by the dense SVD. */
export function bestApproximation(a: Matrix, rank: number): Matrix {
  const { u, s, v } = svd(a);
  return matmulTransposed(
    scaleColumns(
      u,
      s.map((value, i) => (i < rank ? value : 0)),
    ),
    v,
  );
}
