import { join } from 'node:path';
import { writeFolderAtomic } from '../formats/atomic-file.ts';
import type { BaseModel } from '../models/base-model.ts';
import { compareConfigs } from '../method/evolution/analysis/compatibility.ts';
import { loadEvolution, saveEvolution } from '../method/evolution/evolution-file.ts';
import { analyzeVersions, summarizeAnalysis } from '../method/evolution/analysis/version-analysis.ts';
import { computeEvolution, type Evolution, type WeightSource } from '../method/evolution/evolution.ts';
import { compareVersions } from '../method/evolution/analysis/version-comparison.ts';
import type { BaseDifference, EvolveOutcome, EvolveSpec } from '../../workers/training/protocol.ts';
import type { LoadedBase } from '../engine/base-cache.ts';

/** File of an evolution's folder. */
const EVOLUTION_FILE = 'evolution.safetensors';

/** Two base versions between which no adapter can be carried over. */
export class IncompatibleBasesError extends Error {
  readonly code = 'incompatible_base_model_versions';
  readonly badInput = true;
  readonly differences: readonly BaseDifference[];

  constructor(differences: readonly BaseDifference[]) {
    const listed = differences.map(
      ({ field, old, new: next }) => `${field}: ${JSON.stringify(old)} → ${JSON.stringify(next)}`,
    );
    super(`the base versions are incompatible: ${listed.join('; ')}`);
    this.name = 'IncompatibleBasesError';
    this.differences = differences;
  }
}

/** @throws IncompatibleBasesError listing what differs in shape, vocabulary or the way from text to tokens */
export async function requireCompatible(old: LoadedBase, next: LoadedBase): Promise<void> {
  const sameConfig = compareConfigs(old.model.config, next.model.config).length === 0;
  if (sameConfig && old.tokenizerHash === next.tokenizerHash) return;
  const { differences } = await compareVersions(old.folder, next.folder);
  if (differences.length > 0) throw new IncompatibleBasesError(differences);
}

/**
 * Computes what changed between two base versions and writes it as a folder, atomically. The weights are streamed from
 * their folders: a process that holds neither model yet needs no room for them.
 * @throws IncompatibleBasesError
 */
export async function evolve(spec: EvolveSpec, signal?: AbortSignal): Promise<EvolveOutcome> {
  const begun = performance.now();
  const analysis = await analyzeVersions(spec.oldBase, spec.newBase, { rank: spec.rank, seed: spec.seed, signal });
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

/** In memory. @throws IncompatibleBasesError */
export async function evolutionBetween(
  old: LoadedBase,
  next: LoadedBase,
  options: { readonly rank?: number; readonly seed?: number; readonly signal?: AbortSignal } = {},
): Promise<Evolution> {
  await requireCompatible(old, next);
  return computeEvolution(sourceOf(old.model), sourceOf(next.model), options);
}

/** Reads the folder that {@link evolve} wrote. */
export function readEvolution(folder: string): Promise<Evolution> {
  return loadEvolution(join(folder, EVOLUTION_FILE));
}

function sourceOf({ config, fingerprint, weights }: BaseModel): WeightSource {
  return { config, fingerprint, readWeight: (name) => Promise.resolve(weights.get(name)!) };
}
