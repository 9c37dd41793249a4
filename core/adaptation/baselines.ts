import { answerSizes } from '../data/evaluation/generated-answers.ts';
import { loadTaskRows, tokenizeTask } from '../data/task-data.ts';
import type { BaseCache, LoadedBase } from '../engine/base-cache.ts';
import { loadAdapter } from '../formats/peft/peft-adapter.ts';
import type { Adapter } from '../models/lora/adapter.ts';
import { resolveJobOptions } from '../options/job-settings.ts';
import { isGenerated } from '../options/metrics.ts';
import type { Precision } from '../options/precisions.ts';
import type { JobSpec } from './job-spec.ts';
import type { ExactGate } from './measurements/exact-gate.ts';
import type { GateOutcomes } from './measurements/gate-outcomes.ts';
import { Measurements } from './measurements/measurements.ts';
import { givenOutcomes, measureOld, storedOld } from './measurements/old-version.ts';
import { rowBudget } from './setup/job-setup.ts';
import { jobMemory, requireMemory, rowSizes } from './setup/memory-plan.ts';
import type { RowFormat } from './setup/row-format.ts';

/**
 * Metrics, on the gate rows, of the three versions with which a published adapter is compared. A metric is null if it
 * is not measured, or has not been measured yet.
 */
export interface Baselines {
  /** Metric of the old adapter on the old base. */
  readonly old: number | null;
  /** Metric of the new base without an adapter. */
  readonly none: number | null;
  /** Metric of the copy: the old adapter, unchanged, on the new base. */
  readonly copy: number | null;
}

export const NO_BASELINES: Baselines = { old: null, none: null, copy: null };

/** Whether at least one of the three baselines has not been measured. */
export function isIncomplete({ old, none, copy }: Baselines): boolean {
  return old === null || none === null || copy === null;
}

/**
 * Request to measure the baselines that a job has left out (`baselines: 'needed'`), under the settings of that job.
 * Plain JSON.
 */
export interface BaselinesSpec {
  readonly job: JobSpec;
  readonly known: Baselines;
  /** Row format in which the job tokenized its rows. */
  readonly rowFormat: RowFormat;
  /** Precision in which the job computed both bases. */
  readonly precision: Precision;
}

export interface BaselinesOutcome {
  readonly baselines: Baselines;
  /**
   * Outcomes of the old adapter on the old base if this request had to measure them; null if they were known already.
   */
  readonly oldOutcomes: GateOutcomes | null;
}

/**
 * Measures the baselines that a job has left out, exactly as the job itself would have measured them.
 * @throws the signal's reason; FormatError, DatasetError, InsufficientMemoryError and the like
 */
export async function measureBaselines(
  bases: BaseCache,
  { job, known, rowFormat, precision }: BaselinesSpec,
  signal: AbortSignal,
): Promise<BaselinesOutcome> {
  const { config, tokenizer } = await bases.describe(job.newBase);
  const adapter = await loadAdapter(job.adapter, config);
  const { searchRows, maxNewTokens } = resolveJobOptions(job.options, {
    control: false,
    hiddenSize: config.hiddenSize,
  });
  const format = { tokenizer, config, ...rowFormat, budget: rowBudget(job, maxNewTokens) };
  const data = tokenizeTask(await loadTaskRows(job.data), format, () => undefined);
  const measured = rowSizes([...data.search, ...data.gate]);
  const generated = isGenerated(job.metric) ? answerSizes(data.gate, maxNewTokens) : null;
  const needs = { config, precision, adapter, measured, trained: [], generated, evolution: false };
  bases.memory.reserve(jobMemory(requireMemory(needs, bases.memory.available), needs));
  const measurements = new Measurements({ data, metric: job.metric, searchRows, maxNewTokens, signal });
  const exact = { bases, measurements, gate: { metric: job.metric, ...job.gate } };
  const missing = { exact, adapter, newBase: await bases.load(job.newBase, precision) };
  let baselines = await completeOnNewBase(missing, known);
  let oldOutcomes: GateOutcomes | null = null;
  if (baselines.old === null) {
    const stored = storedOld(exact, missing.newBase, givenOutcomes(job.oldOutcomes));
    if (stored) baselines = { ...baselines, old: stored.metric.value };
    else {
      const old = await measureOld(exact, await bases.load(job.oldBase, precision), adapter);
      baselines = { ...baselines, old: old.measured.metric.value };
      oldOutcomes = old.outcomes;
    }
  }
  return { baselines, oldOutcomes };
}

/**
 * Measures the two baselines on the new base, unless they are known already: the metric of the unchanged old adapter,
 * and the metric of the base without an adapter.
 */
export async function completeOnNewBase(
  { exact, newBase, adapter }: { readonly exact: ExactGate; readonly newBase: LoadedBase; readonly adapter: Adapter },
  known: Baselines,
): Promise<Baselines> {
  const valueOf = async (which: Adapter | null) => (await exact.measurements.onGate(newBase, which)).metric.value;
  const copy = known.copy ?? (await valueOf(adapter));
  const none = known.none ?? (await valueOf(null));
  return { ...known, copy, none };
}
