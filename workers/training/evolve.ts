import { join } from 'node:path';
import { writeFolderAtomic } from '../formats/atomic-file.ts';
import type { BaseModel } from '../models/base-model.ts';
import { compareConfigs } from '../relora/compatibility.ts';
import { loadEvolution, saveEvolution } from '../relora/evolution-file.ts';
import { capturedEnergy, overallCapturedEnergy } from '../relora/captured-energy.ts';
import { computeEvolution, type Evolution, type WeightSource } from '../relora/evolution.ts';
import type { BaseDifference, EvolveOutcome, EvolveSpec } from './protocol.ts';
import type { LoadedBase, Session } from './session.ts';

/** File of an evolution's folder. */
const EVOLUTION_FILE = 'evolution.safetensors';

/** Two base versions between which no adapter can be carried over. */
export class IncompatibleBasesError extends Error {
  readonly code = 'incompatible_base_versions';
  readonly badInput = true;
  readonly differences: readonly BaseDifference[];

  constructor(differences: readonly BaseDifference[]) {
    const listed = differences.map(({ field, old, new: next }) => `${field}: ${JSON.stringify(old)} → ${JSON.stringify(next)}`);
    super(`the base versions are incompatible: ${listed.join('; ')}`);
    this.name = 'IncompatibleBasesError';
    this.differences = differences;
  }
}

/** @throws IncompatibleBasesError listing what differs in shape, vocabulary or tokenizer */
export function requireCompatible(old: LoadedBase, next: LoadedBase): void {
  const facts = ({ model, tokenizerHash }: LoadedBase) => ({ config: model.config, tokenizerHash });
  const differences = compareConfigs(facts(old), facts(next));
  if (differences.length > 0) throw new IncompatibleBasesError(differences);
}

/** Computes what changed between two base versions and writes it as a folder, atomically. */
export async function evolve(session: Session, spec: EvolveSpec, signal?: AbortSignal): Promise<EvolveOutcome> {
  const begun = performance.now();
  const old = await session.base(spec.oldBase);
  const next = await session.base(spec.newBase);
  const evolution = await evolutionBetween(old, next, { rank: spec.rank, seed: spec.seed, signal });
  const write = (folder: string): Promise<void> => saveEvolution(join(folder, EVOLUTION_FILE), evolution);
  await writeFolderAtomic(spec.outDir, write, { replace: true });
  return {
    dir: spec.outDir,
    rank: evolution.rank,
    drift: evolution.overall.drift,
    summary: summarise(evolution),
    computeMs: performance.now() - begun,
  };
}

/** In memory. @throws IncompatibleBasesError */
export async function evolutionBetween(
  old: LoadedBase,
  next: LoadedBase,
  options: { readonly rank?: number; readonly seed?: number; readonly signal?: AbortSignal } = {},
): Promise<Evolution> {
  requireCompatible(old, next);
  return computeEvolution(sourceOf(old.model), sourceOf(next.model), options);
}

/** Reads the folder that {@link evolve} wrote. */
export function readEvolution(folder: string): Promise<Evolution> {
  return loadEvolution(join(folder, EVOLUTION_FILE));
}

function sourceOf({ config, fingerprint, weights }: BaseModel): WeightSource {
  return { config, fingerprint, readWeight: (name) => Promise.resolve(weights.get(name)!) };
}

function summarise(evolution: Evolution): Record<string, unknown> {
  const modules = [...evolution.modules].map(([name, module]) => {
    return [name, { drift: module.drift, rank: module.rank, captured_energy: capturedEnergy(module) }];
  });
  const unadaptable = [...evolution.unadaptable].map(([name, { drift }]) => [name, { drift }]);
  return {
    old_fingerprint: evolution.oldFingerprint,
    new_fingerprint: evolution.newFingerprint,
    adaptable_drift: evolution.adaptable.drift,
    captured_energy: overallCapturedEnergy(evolution),
    modules: Object.fromEntries(modules),
    unadaptable: Object.fromEntries(unadaptable),
  };
}
