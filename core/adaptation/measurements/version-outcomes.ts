import { answerSizes } from '../../data/evaluation/generated-answers.ts';
import { loadTaskRows, tokenizeTask } from '../../data/task-data.ts';
import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import { loadAdapter } from '../../formats/peft/peft-adapter.ts';
import { resolveJobOptions } from '../../options/job-settings.ts';
import { isGenerated } from '../../options/metrics.ts';
import type { JobSpec } from '../job-spec.ts';
import { objectionToLosses, type RowsOnBase } from '../setup/job-precision.ts';
import { requireSuitable, rowBudget } from '../setup/job-setup.ts';
import { jobMemory, requireMemory, rowSizes } from '../setup/memory-plan.ts';
import { decideRowFormat } from '../setup/row-format.ts';
import type { GateOutcomes } from './gate-outcomes.ts';
import { Measurements } from './measurements.ts';
import { measureOld } from './old-version.ts';

/**
 * Request to measure an adapter version on its gate rows in advance, for a later job. All paths are absolute. Plain
 * JSON.
 */
export interface OutcomesSpec extends Pick<
  JobSpec,
  'adapter' | 'data' | 'metric' | 'gate' | 'measuredTokens' | 'adapterOptions'
> {
  /** Folder of the base model version for which the adapter version was made. */
  readonly base: string;
}

export interface OutcomesOutcome {
  /** Outcomes of the version on its gate rows; null if the metric is not a finite number. */
  readonly outcomes: GateOutcomes | null;
}

/**
 * Measures an adapter version on its gate rows and its own base, as a job with default options that carries the version
 * over would measure it. A job that needs a different measurement, for example in another precision, measures the
 * version itself.
 * @throws the signal's reason; FormatError, DatasetError, TaskDataError, InsufficientMemoryError and the like
 */
export async function measureOutcomes(
  bases: BaseCache,
  spec: OutcomesSpec,
  signal: AbortSignal,
): Promise<OutcomesOutcome> {
  const { config, tokenizer } = await bases.describe(spec.base);
  const settings = resolveJobOptions({}, { control: false, hiddenSize: config.hiddenSize });
  const { searchRows, maxNewTokens } = settings;
  const adapter = await loadAdapter(spec.adapter, config);
  const rows = await loadTaskRows(spec.data);
  const loadBase = () => bases.load(spec.base);
  const asked = { given: spec.adapterOptions ?? {}, folder: spec.adapter, adapter, config, loadBase, signal };
  const rowFormat = await decideRowFormat({ ...asked, rows: [...rows.search, ...rows.gate] });
  const format = { tokenizer, config, ...rowFormat, budget: rowBudget(spec, maxNewTokens) };
  const data = tokenizeTask(rows, format, () => undefined);
  requireSuitable(data, spec, settings);
  const measured = rowSizes([...data.search, ...data.gate]);
  const generated = isGenerated(spec.metric) ? answerSizes(data.gate, maxNewTokens) : null;
  const needs = { config, precision: bases.precision, adapter, measured, trained: [], generated, evolution: false };
  bases.memory.reserve(jobMemory(requireMemory(needs, bases.memory.available), needs));
  const base = await inPrecisionOfJobs({ bases, base: await loadBase(), adapter, rows: data.search }, spec.base);
  signal.throwIfAborted();
  const measurements = new Measurements({ data, metric: spec.metric, searchRows, maxNewTokens, signal });
  const { outcomes } = await measureOld(
    { bases, measurements, gate: { metric: spec.metric, ...spec.gate } },
    base,
    adapter,
  );
  return { outcomes };
}

/**
 * Returns the base in the precision that a job would choose: in float32 if rows of the task show that int8 is too
 * inexact, and otherwise as it is loaded.
 */
async function inPrecisionOfJobs(on: RowsOnBase, folder: string): Promise<LoadedBase> {
  const { bases, base } = on;
  const refused =
    bases.chooses && bases.memory.holdsFloat32(base.model.config) && (await objectionToLosses(on)) !== null;
  return refused ? bases.load(folder, 'f32') : base;
}
