import { withModelWeights } from '../../formats/hugging-face/model-weights.ts';
import { computeEvolution, type Evolution, type EvolutionOptions } from './evolution.ts';
import { streamed } from './streamed-weights.ts';
import type { WeightSource } from './weight-source.ts';
import { countsOf, withWeightThread } from './weight-thread-source.ts';

/**
 * Number of weights from which on each base is read in a thread of its own. Starting a thread takes about as long as
 * reading that many.
 */
const WORTH_A_THREAD = 2 ** 25;

export interface FolderEvolutionOptions extends EvolutionOptions {
  /** Whether each base is read in a thread of its own. By default this depends on its size. */
  readonly threads?: boolean;
}

/**
 * The evolution between the base models of two folders. Every tensor is read once, and the fingerprints are computed from
 * the very values that the evolution is computed from. Large bases are read, checked and hashed in threads of their own,
 * while this one decomposes.
 * @throws FormatError for a folder that does not hold a base model, AdaptationError `incompatible_evolution`
 */
export async function evolutionBetweenFolders(
  oldFolder: string,
  newFolder: string,
  { threads, ...options }: FolderEvolutionOptions = {},
): Promise<Evolution> {
  const withSource = (folder: string, use: (source: WeightSource) => Promise<Evolution>): Promise<Evolution> =>
    withModelWeights(folder, (model) =>
      (threads ?? sumOf(countsOf(model)) >= WORTH_A_THREAD)
        ? withWeightThread(folder, model, use)
        : use(streamed(model)),
    );
  return withSource(oldFolder, (from) => withSource(newFolder, (to) => computeEvolution(from, to, options)));
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
