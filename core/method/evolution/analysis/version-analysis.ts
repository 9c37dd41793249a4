import { adviseOn, type Advice } from './advisor.ts';
import { energyCurve, capturedEnergy, overallCapturedEnergy } from '../captured-energy.ts';
import type { Evolution } from '../evolution.ts';
import { evolutionBetweenFolders, type FolderEvolutionOptions } from '../folder-evolution.ts';
import { driftGrid, unadaptableParts } from '../drift.ts';
import { compareVersions, type VersionComparison } from './version-comparison.ts';

/** Comparison of two base model versions, made before anything is trained. */
export interface VersionAnalysis {
  readonly comparison: VersionComparison;
  /** Evolution between both versions; null if they are incompatible, so that no adapter can be carried over. */
  readonly evolution: Evolution | null;
}

/**
 * Compares the base models of two folders. Weights are read only if the versions are compatible.
 * @throws FormatError for a folder that does not hold a base model
 */
export async function analyzeVersions(
  oldFolder: string,
  newFolder: string,
  options: FolderEvolutionOptions = {},
): Promise<VersionAnalysis> {
  const comparison = await compareVersions(oldFolder, newFolder);
  const evolution =
    comparison.differences.length > 0 ? null : await evolutionBetweenFolders(oldFolder, newFolder, options);
  return { comparison, evolution };
}

/**
 * Converts the analysis of two versions to plain JSON, without the evolution's factors.
 * @param advice advice to include. Default: that for an adapter that adapts every module
 */
export function summarizeAnalysis(analysis: VersionAnalysis, advice: Advice = adviseOn(analysis)) {
  const { comparison, evolution } = analysis;
  const { tokenizer, differences, settings } = comparison;
  const { added, removed, moved } = tokenizer.vocabulary;
  return {
    advice,
    differences,
    changed_settings: settings,
    tokenizer: {
      vocabulary: { added: added.length, removed: removed.length, moved: moved.length },
      added_tokens: tokenizer.addedTokens,
      merges: tokenizer.merges,
      encoding: tokenizer.encoding,
      decoding: tokenizer.decoding,
      roles: tokenizer.roles,
      chat_template: tokenizer.chatTemplate,
    },
    ...(evolution === null ? {} : summarizeEvolution(evolution)),
  };
}

function summarizeEvolution(evolution: Evolution) {
  const modules = [...evolution.modules].map(([name, module]) => {
    return [name, { drift: module.drift, rank: module.rank, captured_energy: capturedEnergy(module) }] as const;
  });
  const drifts = (entries: ReadonlyMap<string, { readonly drift: number }>) => {
    return Object.fromEntries([...entries].map(([name, { drift }]) => [name, { drift }]));
  };
  return {
    old_fingerprint: evolution.oldFingerprint,
    new_fingerprint: evolution.newFingerprint,
    overall_drift: evolution.overall.drift,
    adaptable_drift: evolution.adaptable.drift,
    captured_energy: overallCapturedEnergy(evolution),
    captured_energy_by_rank: energyCurve(evolution),
    modules: Object.fromEntries(modules),
    projections: Object.fromEntries(driftGrid(evolution).map(({ projection, drift }) => [projection, { drift }])),
    unadaptable_parts: drifts(unadaptableParts(evolution)),
    unadaptable: drifts(evolution.unadaptable),
  };
}
