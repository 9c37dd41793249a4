import { join } from 'node:path';
import { writeFolderAtomic } from '../formats/atomic-file.ts';
import { describeBaseModel } from '../formats/hugging-face/hugging-face-model.ts';
import { withModelWeights } from '../formats/hugging-face/model-weights.ts';
import { compareConfigs, type Difference } from '../method/evolution/analysis/compatibility.ts';
import { loadEvolution, saveEvolution } from '../method/evolution/evolution-file.ts';
import { analyzeVersions, summarizeAnalysis } from '../method/evolution/analysis/version-analysis.ts';
import type { Evolution, EvolutionOptions } from '../method/evolution/evolution.ts';
import { evolutionBetweenFolders, type FolderEvolutionOptions } from '../method/evolution/folder-evolution.ts';
import { compareVersions } from '../method/evolution/analysis/version-comparison.ts';
import type { BaseCache, DescribedBase } from '../engine/base-cache.ts';
import { withOnnxProducts } from '../engine/compiled/onnx-products.ts';
import { EvolutionCache } from './evolution-cache.ts';

/** Name of the file with the evolution, in the folder that {@link evolve} writes. */
const EVOLUTION_FILE = 'evolution.safetensors';

/** Request to compute the evolution between two bases and to write it to a folder. Plain JSON. */
export interface EvolveSpec {
  readonly oldBase: string;
  readonly newBase: string;
  /** Rank of the two factors to which the change of each module's weights is reduced. Default: that of the method. */
  readonly rank?: number;
  /** Folder that the evolution is written to. It is created, or replaced as a whole. */
  readonly outDir: string;
  readonly seed?: number;
}

export interface EvolveOutcome {
  readonly dir: string;
  readonly rank: number;
  /** Joint drift of all modules that adapters can change. */
  readonly drift: number;
  /**
   * Analysis of both bases as plain JSON: their differences, the drift of each module, and advice; see
   * `summarizeAnalysis`.
   */
  readonly summary: Readonly<Record<string, unknown>>;
  readonly computeMs: number;
}

/** Error for two bases so different that no adapter can be carried over from one to the other. */
export class IncompatibleBasesError extends Error {
  readonly code = 'incompatible_base_model_versions';
  readonly badInput = true;
  readonly differences: readonly Difference[];

  constructor(differences: readonly Difference[]) {
    const listed = differences.map(
      (difference) => `${difference.field}: ${JSON.stringify(difference.old)} → ${JSON.stringify(difference.new)}`,
    );
    super(`the base versions are incompatible: ${listed.join('; ')}`);
    this.name = 'IncompatibleBasesError';
    this.differences = differences;
  }
}

/**
 * Checks that adapters can be carried over from the old base to the new one.
 * @throws IncompatibleBasesError if the bases differ in shapes, in vocabulary, or in tokenization
 */
export async function requireCompatible(oldBase: DescribedBase, newBase: DescribedBase): Promise<void> {
  const sameConfig = compareConfigs(oldBase.config, newBase.config).length === 0;
  if (sameConfig && oldBase.tokenizerHash === newBase.tokenizerHash) return;
  const { differences } = await compareVersions(oldBase.folder, newBase.folder);
  if (differences.length > 0) throw new IncompatibleBasesError(differences);
}

/**
 * Computes the evolution and writes it to a folder, atomically. The weights are read from the bases' folders piece by
 * piece, so that neither base has to be loaded into memory.
 * @throws IncompatibleBasesError
 */
export async function evolve(
  spec: EvolveSpec,
  options: Pick<FolderEvolutionOptions, 'signal' | 'verified'> = {},
): Promise<EvolveOutcome> {
  const begun = performance.now();
  const { oldBase, newBase, rank, seed } = spec;
  const analysis = await withOnnxProducts((products) =>
    analyzeVersions(oldBase, newBase, { ...options, rank, seed, products }),
  );
  const { evolution, comparison } = analysis;
  if (evolution === null) throw new IncompatibleBasesError(comparison.differences);
  const write = (folder: string): Promise<void> => saveEvolution(join(folder, EVOLUTION_FILE), evolution);
  await writeFolderAtomic(spec.outDir, write, { replace: true });
  return {
    dir: spec.outDir,
    rank: evolution.rank,
    drift: evolution.adaptable.drift,
    summary: { ...summarizeAnalysis(analysis) },
    computeMs: performance.now() - begun,
  };
}

/**
 * Returns the evolution between the bases of two folders, which must be compatible. It comes from the cache folder if
 * an earlier process has stored it there, and otherwise is computed from the weights and stored.
 * @throws FormatError, AdaptationError `incompatible_evolution`
 */
export async function evolutionBetween(
  oldFolder: string,
  newFolder: string,
  { bases, ...options }: Pick<EvolutionOptions, 'products' | 'signal'> & { readonly bases: BaseCache },
): Promise<Evolution> {
  const { verified, cacheFolder } = bases;
  const compute = () => evolutionBetweenFolders(oldFolder, newFolder, { ...options, verified });
  if (cacheFolder === null) return compute();
  const cache = new EvolutionCache(join(cacheFolder, 'evolutions'));
  const [oldFingerprint, newFingerprint] = [
    await fingerprintOf(oldFolder, bases),
    await fingerprintOf(newFolder, bases),
  ];
  if (oldFingerprint !== null && newFingerprint !== null) {
    const known = await cache.find({ oldFingerprint, newFingerprint });
    if (known) return known;
  }
  const evolution = await compute();
  await cache.keep(evolution);
  return evolution;
}

/** Returns the fingerprint of the weights in a folder. Reads those of its files that were not verified before. */
export async function requireFingerprint(folder: string, bases: BaseCache): Promise<string> {
  return (
    (await fingerprintOf(folder, bases)) ?? (await describeBaseModel(folder, { verified: bases.verified })).fingerprint
  );
}

/** Returns the fingerprint of the weights in a folder; null if the folder's files were not verified before. */
function fingerprintOf(folder: string, { verified }: BaseCache): Promise<string | null> {
  return withModelWeights(folder, (model) => Promise.resolve(model.verified), { verified });
}

/** Reads the evolution from a folder that {@link evolve} wrote. */
export function readEvolution(folder: string): Promise<Evolution> {
  return loadEvolution(join(folder, EVOLUTION_FILE));
}
