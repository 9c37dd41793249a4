import { toTimestamp } from '../../platform/contract/schemas.ts';
import type { EvolutionRow } from './evolution.repository.ts';
import type { EvolutionResource, EvolutionEntry, RolloutEvolution } from './evolution.schemas.ts';

/** Setting in which two base model versions differ, with its old and new value. */
interface StoredDifference {
  readonly field: string;
  readonly old: unknown;
  readonly new: unknown;
}

interface StoredDrift {
  readonly drift: number;
}

/**
 * Summary of an evolution as the analysis stores it; `summarizeAnalysis` in `core/method` makes it. Until the evolution
 * is computed, all members are absent.
 */
interface StoredSummary {
  readonly advice?: unknown;
  readonly changed_settings?: readonly StoredDifference[];
  readonly tokenizer?: {
    readonly vocabulary: { readonly added: number; readonly removed: number; readonly moved: number };
    readonly added_tokens: readonly unknown[];
    readonly merges: { readonly added: number; readonly removed: number; readonly reordered: boolean };
    readonly encoding: readonly StoredDifference[];
    readonly decoding: readonly StoredDifference[];
    readonly roles: readonly StoredDifference[];
    readonly chat_template: string;
  };
  readonly overall_drift?: number;
  readonly captured_energy_by_rank?: EvolutionResource['captured_energy_by_rank'];
  readonly modules?: Readonly<
    Record<string, StoredDrift & { readonly rank: number; readonly captured_energy: number }>
  >;
  readonly projections?: Readonly<Record<string, StoredDrift>>;
  readonly unadaptable_parts?: Readonly<Record<string, StoredDrift>>;
}

export function toEvolutionEntry(row: EvolutionRow): EvolutionEntry {
  const { advice } = summaryOf(row);
  return {
    id: row.id,
    old_base_model_version_id: row.oldBaseModelVersionId,
    state: row.state,
    drift: row.drift,
    advice: adviceOf(row.state, advice ?? null, row.differences as StoredDifference[] | null),
    new_base_model_version_id: row.newBaseModelVersionId,
    base_model_name: row.newBaseModelVersion.baseModel.name,
    old_version: row.oldBaseModelVersion.version,
    new_version: row.newBaseModelVersion.version,
    rank: row.rank,
    compute_ms: row.computeMs,
    created_at: toTimestamp(row.createdAt),
  };
}

export function toEvolution(row: EvolutionRow): EvolutionResource {
  const summary = summaryOf(row);
  return {
    ...toEvolutionEntry(row),
    overall_drift: summary.overall_drift ?? null,
    captured_energy_by_rank: summary.captured_energy_by_rank ?? [],
    modules: modulesOf(summary),
    projections: partsOf(summary.projections),
    unadaptable_parts: partsOf(summary.unadaptable_parts),
    differences: differencesOf((row.differences as StoredDifference[] | null) ?? []),
    changed_settings: differencesOf(summary.changed_settings ?? []),
    tokenizer: tokenizerOf(summary),
  };
}

/**
 * Builds the advice on an evolution from the analysis. If the two base model versions are incompatible, the reasons are
 * the differences that make them incompatible.
 */
export function adviceOf(
  state: string,
  advice: unknown,
  differences: readonly StoredDifference[] | null,
): RolloutEvolution['advice'] {
  if (state !== 'failed') return advice as RolloutEvolution['advice'];
  const reasons = (differences ?? []).map(({ field, old, new: next }) => {
    return { code: `differs:${field}`, message: `${field}: ${JSON.stringify(old)} → ${JSON.stringify(next)}` };
  });
  return { verdict: 'incompatible', reasons };
}

function summaryOf({ summary }: EvolutionRow): StoredSummary {
  return (summary ?? {}) as StoredSummary;
}

/**
 * Lists the figures of each module. Sorts the modules by layer, because the database does not keep the order of members
 * in JSON.
 */
function modulesOf({ modules = {} }: StoredSummary): EvolutionResource['modules'] {
  const found = Object.entries(modules).map(([name, { drift, rank, captured_energy }]) => {
    const [, layer, projection = name] = /^(?:.*?\.)?(\d+)\.(.+)$/.exec(name) ?? [];
    return {
      name,
      layer: layer === undefined ? null : Number(layer),
      projection,
      drift,
      rank,
      captured_energy,
    };
  });
  return found.sort((a, b) => (a.layer ?? -1) - (b.layer ?? -1) || (a.name < b.name ? -1 : 1));
}

function partsOf(parts: Readonly<Record<string, StoredDrift>> = {}): EvolutionResource['projections'] {
  return Object.entries(parts).map(([name, { drift }]) => ({ name, drift }));
}

function differencesOf(differences: readonly StoredDifference[]): EvolutionResource['differences'] {
  return differences.map(({ field, old, new: next }) => {
    return { field, old: JSON.stringify(old ?? null), new: JSON.stringify(next ?? null) };
  });
}

function tokenizerOf({ tokenizer }: StoredSummary): EvolutionResource['tokenizer'] {
  if (tokenizer === undefined) return null;
  const { vocabulary, merges } = tokenizer;
  const fields = (differences: readonly StoredDifference[]) => differences.map(({ field }) => field);
  return {
    vocabulary_added: vocabulary.added,
    vocabulary_removed: vocabulary.removed,
    vocabulary_moved: vocabulary.moved,
    added_tokens: tokenizer.added_tokens.length,
    merges_added: merges.added,
    merges_removed: merges.removed,
    merges_reordered: merges.reordered,
    encoding: fields(tokenizer.encoding),
    decoding: fields(tokenizer.decoding),
    roles: fields(tokenizer.roles),
    chat_template: tokenizer.chat_template,
  };
}
