import type { BaseModel, Tensor } from '../../core/models/base-model.ts';
import { Random } from '../../core/statistics/random.ts';
import { frobeniusNorm } from '../../core/linalg/matrix.ts';

/** How one tensor changes, at a factor of 1. */
type Change = (name: string, old: Tensor, next: Tensor, random: Random) => Float32Array | null;

const isMatrix = (name: string): boolean => name.endsWith('_proj.weight');

/** Ways for a base to move; null leaves a tensor as it is. */
export const EVOLUTIONS = {
  /** The demo family's own new version, gone part of the way or beyond it. */
  trained: (_name, old, next) => next.data.map((value, i) => value - old.data[i]!),
  /** Noise of the same norm in the same matrices, whose directions are all alike: no low rank holds it. */
  noise: (name, old, next, random) => {
    if (!isMatrix(name)) return null;
    return noise(old.data.length, frobeniusNorm(next.data.map((value, i) => value - old.data[i]!)), random);
  },
  /** Noise in the embeddings alone, of 7.6 % of their norm: nothing that an adapter could carry. */
  embeddings: (name, old, _next, random) => {
    return name === 'model.embed_tokens.weight'
      ? noise(old.data.length, 0.076 * frobeniusNorm(old.data), random)
      : null;
  },
} as const satisfies Record<string, Change>;

export type EvolutionName = keyof typeof EVOLUTIONS;

function noise(length: number, norm: number, random: Random): Float32Array {
  const values = Float32Array.from({ length }, () => random.normal());
  const scale = norm / frobeniusNorm(values);
  return values.map((value) => scale * value);
}

export interface EvolvedBase {
  readonly name: string;
  readonly base: BaseModel;
}

/** The old base moved by every factor along every evolution. */
export function* evolvedBases(
  old: BaseModel,
  next: BaseModel,
  names: readonly EvolutionName[],
  factors: readonly number[],
): Generator<EvolvedBase> {
  for (const name of names) {
    for (const factor of factors) {
      const random = Random.fromSeed(1);
      const weights = [...old.weights].map(([tensor, before]): [string, Tensor] => {
        const change = EVOLUTIONS[name](tensor, before, next.weights.get(tensor)!, random);
        return [
          tensor,
          change === null ? before : { ...before, data: before.data.map((value, i) => value + factor * change[i]!) },
        ];
      });
      yield {
        name: `${name} × ${factor}`,
        base: { ...old, fingerprint: `${name} ${factor}`, weights: new Map(weights) },
      };
    }
  }
}
