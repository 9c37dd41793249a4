import { withModelWeights } from '../../formats/hugging-face/model-weights.ts';
import type { VerifiedFiles } from '../../formats/hugging-face/verified-files.ts';
import { computeEvolution, type Evolution, type EvolutionOptions } from './evolution.ts';
import { streamed } from './streamed-weights.ts';
import type { WeightSource } from './weight-source.ts';
import { countsOf, withWeightThread } from './weight-thread-source.ts';

/**
 * Smallest number of weights at which a base is read in a separate thread. Starting a thread takes about as long as
 * reading this many weights.
 */
const WORTH_A_THREAD = 2 ** 25;

export interface FolderEvolutionOptions extends EvolutionOptions {
  /** Whether each base is read in a thread of its own. Default: only large bases. */
  readonly threads?: boolean;
  /**
   * Fingerprints of files that were verified before and need not be hashed again. Newly verified files are added.
   * Default: none.
   */
  readonly verified?: VerifiedFiles | null | undefined;
}

/**
 * Computes the evolution between the base models of two folders. Every tensor is read once. Fingerprints of files that
 * were not verified before are computed from the very values that the evolution is computed from. Each large base gets
 * a thread that reads, checks and hashes it while this thread decomposes.
 * @throws FormatError for a folder that does not hold a base model, AdaptationError `incompatible_evolution`
 */
export async function evolutionBetweenFolders(
  oldFolder: string,
  newFolder: string,
  { threads, verified, ...options }: FolderEvolutionOptions = {},
): Promise<Evolution> {
  const withSource = (folder: string, use: (source: WeightSource) => Promise<Evolution>): Promise<Evolution> =>
    withModelWeights(
      folder,
      async (model) => {
        const remembering = async (source: WeightSource): Promise<Evolution> => {
          const evolution = await use(source);
          if (model.verified === null) await model.remember(source.fingerprint);
          return evolution;
        };
        const inThread = threads ?? sumOf(countsOf(model)) >= WORTH_A_THREAD;
        return inThread ? withWeightThread(folder, model, remembering) : remembering(streamed(model));
      },
      { verified },
    );
  return withSource(oldFolder, (from) => withSource(newFolder, (to) => computeEvolution(from, to, options)));
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
