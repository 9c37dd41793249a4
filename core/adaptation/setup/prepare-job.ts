import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { answerSizes } from '../../data/evaluation/generated-answers.ts';
import { loadGivenTask, tokenizeTask, type GivenTask, type TaskData } from '../../data/task-data.ts';
import type { DescribedBase } from '../../engine/base-cache.ts';
import { loadAdapter } from '../../formats/peft/peft-adapter.ts';
import type { MatrixProducts } from '../../linalg/products.ts';
import type { Evolution } from '../../method/evolution/evolution.ts';
import type { GateMeasurement } from '../../method/gate/readiness-gate.ts';
import { usesEvolution } from '../../method/ladder/strategies.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { resolveJobOptions, type JobSettings } from '../../options/job-settings.ts';
import { isGenerated } from '../../options/metrics.ts';
import type { Precision } from '../../options/precisions.ts';
import { CheckpointStore, type Checkpoint } from '../../training/checkpoint.ts';
import { distillationOf, rowsAfter, type Distillation } from '../distillation/distillation.ts';
import { evolutionBetween, readEvolution, requireCompatible, requireFingerprint } from '../evolutions.ts';
import { answersIn, JobContext, precisionOf, rowFormatIn } from '../job-context.ts';
import type { JobAttempt } from '../job-report.ts';
import { measureForGate, type ExactGate } from '../measurements/exact-gate.ts';
import { GateBreakdown } from '../measurements/gate-breakdown.ts';
import { Measurements } from '../measurements/measurements.ts';
import { knownOutcomes } from '../measurements/old-version.ts';
import { ReferenceVersion } from '../measurements/reference-version.ts';
import { settingsForPrompts } from '../prompts/answer-prompts.ts';
import { withAnswers, type TaskWithAnswers } from '../prompts/task-answers.ts';
import { precisionLike } from '../prompts/writer.ts';
import { GradientPrecision } from './gradient-precision.ts';
import { isTrained, requireSuitable, rowBudget, trainedSizes } from './job-setup.ts';
import { loadNewBase } from './load-new-base.ts';
import { jobMemory, requireMemory, rowSizes, type MemoryNeeds } from './memory-plan.ts';
import type { NewBase } from './new-base.ts';
import { decideRowFormat, maxLengthIn, type RowFormat, type RowFormatSources } from './row-format.ts';

/** Data and functions of a job that is prepared, so that its ladder can start. */
export interface PreparedJob {
  readonly context: JobContext;
  readonly exact: ExactGate;
  readonly settings: JobSettings;
  readonly breakdown: GateBreakdown;
  /** Whether the rows were prompts alone, so that a version has written the answers. */
  readonly hasWritten: boolean;
  readonly newBase: NewBase;
  readonly oldAdapter: Adapter;
  readonly reference: ReferenceVersion;
  /**
   * Measurement of the reference on its own base, if the preparation made one. Null if it is stored, or if candidates
   * are not compared with a reference.
   */
  readonly compared: GateMeasurement | null;
}

/**
 * Prepares a job step by step: reads its files and loads its bases, and checks before each large step that the job fits
 * into memory.
 * @throws FormatError, DatasetError, TaskDataError, IncompatibleBasesError, InsufficientMemoryError and the like; the
 * signal's reason
 */
export async function prepareJob(attempt: JobAttempt, products: MatrixProducts): Promise<PreparedJob> {
  const { signal } = attempt;
  const files = await readFiles(attempt);
  const answered = await answerTask(attempt, files);
  const rows = tokenizeAnswered(attempt, files, answered);
  const evolution = files.needs.evolution ? await findEvolution(attempt, files, products) : null;
  const comparison = await prepareComparison(attempt, { files, answered, rows, evolution });
  signal.throwIfAborted();
  const versions = { data: rows.data, oldAdapter: files.oldAdapter, reference: comparison.reference };
  const loaded = await loadNewBase(attempt, versions, requiredPrecision(attempt, files, answered));
  const { newBase } = loaded;
  signal.throwIfAborted();
  const context = createContext(attempt, { files, answered, rows, evolution, comparison, newBase, products });
  return {
    context,
    exact: comparison.exact,
    settings: files.settings,
    breakdown: rows.breakdown,
    hasWritten: answered.written !== null,
    newBase,
    oldAdapter: files.oldAdapter,
    reference: comparison.reference,
    compared: loaded.compared?.measured ?? null,
  };
}

/** Content of a job's files, which are read before any base is loaded. */
interface JobFiles {
  readonly checkpoints: CheckpointStore;
  /** Checkpoint of an earlier attempt that this device can resume from; null if there is none. */
  readonly latest: Checkpoint | null;
  readonly oldVersion: DescribedBase;
  readonly newVersion: DescribedBase;
  readonly given: GivenTask;
  readonly settings: JobSettings;
  readonly maxLength: number;
  readonly oldAdapter: Adapter;
  /** Precision in which an earlier attempt began, so that the job keeps it; undefined without a checkpoint. */
  readonly keptPrecision: Precision | undefined;
  /** Properties of the job that determine its memory, as far as they do not depend on the rows. */
  readonly needs: Pick<MemoryNeeds, 'config' | 'precision' | 'adapter' | 'evolution'>;
}

async function readFiles(attempt: JobAttempt): Promise<JobFiles> {
  const { bases, spec, report } = attempt;
  await mkdir(spec.workDir, { recursive: true });
  const checkpoints = new CheckpointStore(join(spec.workDir, 'checkpoints'));
  const latest = usableCheckpoint(await checkpoints.latest(), attempt);
  const [oldVersion, newVersion] = [await bases.describe(spec.oldBase), await bases.describe(spec.newBase)];
  const { config } = newVersion;
  const given = await loadGivenTask(spec.data);
  const maxLength = rowFormatIn(latest)?.maxLength ?? (await maxLengthIn(rowFormatSources(attempt, config)));
  const asked = resolveJobOptions(spec.options, { control: spec.kind === 'control', hiddenSize: config.hiddenSize });
  const settings = given.promptsOnly ? settingsForPrompts(asked, { config, maxLength }) : asked;
  report.planSteps(isTrained(settings) ? settings.maxSteps : 0);
  await requireCompatible(oldVersion, newVersion);
  const oldAdapter = await loadAdapter(spec.adapter, config);
  const keptPrecision = (latest && precisionOf(latest)) ?? undefined;
  const precision = keptPrecision ?? bases.precision;
  const needs = { config, precision, adapter: oldAdapter, evolution: usesEvolution(settings.strategy) };
  planMemory(attempt, { ...needs, measured: [], trained: [] });
  const versions = { oldVersion, newVersion };
  return { checkpoints, latest, ...versions, given, settings, maxLength, oldAdapter, keptPrecision, needs };
}

/**
 * Returns the checkpoint if this device supports its precision. Otherwise warns that the job begins again, and returns
 * null.
 */
function usableCheckpoint(found: Checkpoint | null, { bases, report }: JobAttempt): Checkpoint | null {
  const precision = found && precisionOf(found);
  if (precision === null || bases.supports(precision)) return found;
  report.warn(`the job began in ${precision}, which this device does not have, so it begins again`);
  return null;
}

/** Rows of a job, all with answers, and the format in which they become tokens. */
interface AnsweredRows extends TaskWithAnswers {
  /**
   * Checkpoint to resume from; null if there is none, or if the completions of its training rows, which the old version
   * wrote, differ from those of this attempt.
   */
  readonly resumed: Checkpoint | null;
  readonly rowFormat: RowFormat;
}

/** Has a version write answers if the rows are prompts alone, and decides the format in which rows become tokens. */
async function answerTask(attempt: JobAttempt, files: JobFiles): Promise<AnsweredRows> {
  const { bases, spec, signal, report } = attempt;
  const { given, settings, oldAdapter, maxLength, latest, needs } = files;
  const { config, tokenizer } = files.newVersion;
  const task = await withAnswers(given, {
    bases,
    spec,
    settings,
    oldAdapter,
    config,
    format: { tokenizer, config, maxLength },
    before: answersIn(latest),
    reserve: (generated) => {
      const measured = [{ tokens: generated.longest, labels: 1 }];
      planMemory(attempt, { ...needs, measured, trained: [], generated });
    },
    warn: (message) => report.warn(message),
    signal,
  });
  const resumed = withSameAnswers(attempt, latest, task);
  const rowFormat = rowFormatIn(resumed) ?? (await chooseRowFormat(attempt, files, task));
  report.emit({ type: 'row_format', format: rowFormat });
  return { ...task, resumed, rowFormat };
}

/**
 * Returns the checkpoint if it was made with the same answers as the job has now. Otherwise warns that the job begins
 * again, and returns null.
 */
function withSameAnswers(
  { report }: JobAttempt,
  found: Checkpoint | null,
  { written }: TaskWithAnswers,
): Checkpoint | null {
  if (found === null || answersIn(found)?.digest === written?.record.digest) return found;
  report.warn('the answers to the prompts are not those that the job began with, so it begins again');
  return null;
}

function chooseRowFormat(
  attempt: JobAttempt,
  { oldAdapter: adapter, newVersion }: JobFiles,
  { rows, written }: TaskWithAnswers,
): Promise<RowFormat> {
  const { bases, spec, signal } = attempt;
  const loadBase = () => bases.load(spec.oldBase);
  const measured = { adapter, loadBase, rows: [...rows.search, ...rows.gate], written: written ?? undefined };
  return decideRowFormat({ ...rowFormatSources(attempt, newVersion.config), ...measured, signal });
}

/**
 * Returns those sources of the row format that need no measurement: the options, the adapter's folder and the model
 * configuration.
 */
function rowFormatSources(
  { spec }: JobAttempt,
  config: ModelConfig,
): Pick<RowFormatSources, 'given' | 'folder' | 'config'> {
  const { adapterOptions: given = {}, adapter: folder } = spec;
  return { given, folder, config };
}

/** Rows of a job as tokens, with their slices and, for prompts alone, the distillation that gives them soft targets. */
interface TokenizedRows {
  readonly data: TaskData;
  readonly breakdown: GateBreakdown;
  readonly distillation: Distillation | null;
}

/** Tokenizes the rows, and checks that the whole job fits into memory. */
function tokenizeAnswered(
  attempt: JobAttempt,
  { settings, newVersion, needs }: JobFiles,
  { rows, written, rowFormat }: AnsweredRows,
): TokenizedRows {
  const { spec, signal, report } = attempt;
  const { config, tokenizer } = newVersion;
  const format = { tokenizer, config, ...rowFormat };
  const budget = rowBudget(spec, settings.maxNewTokens);
  const data = tokenizeTask(rows, { ...format, budget }, (message) => report.warn(message));
  requireSuitable(data, spec, settings);
  const breakdown = new GateBreakdown(data.gate, spec.gate);
  const measured = rowSizes([...data.search, ...data.gate]);
  const distillation = distillationOf({ spec, settings, data, teacher: written && written.writer, signal });
  const generated = isGenerated(spec.metric) ? answerSizes(data.gate, settings.maxNewTokens) : null;
  const trained = [...trainedSizes(rows, settings, { format, measured }), ...(distillation?.trained ?? [])];
  planMemory(attempt, { ...needs, measured, generated, trained });
  return { data, breakdown, distillation };
}

/**
 * Reserves memory for a job with these needs.
 * @throws InsufficientMemoryError if it is not available
 */
function planMemory({ bases: { memory } }: JobAttempt, needs: MemoryNeeds): void {
  memory.reserve(jobMemory(requireMemory(needs, memory.available), needs));
}

/**
 * Reads the evolution from the folder that the job names. If it names none, takes the evolution from the cache, or
 * computes it. Computing reads the bases piece by piece without loading them, and verifies their files if they are new.
 */
async function findEvolution(
  { bases, spec, signal, report }: JobAttempt,
  { oldVersion, newVersion }: JobFiles,
  products: MatrixProducts,
): Promise<Evolution> {
  if (spec.evolution !== null) return readEvolution(spec.evolution);
  report.enterPhase('evolution');
  const evolution = await evolutionBetween(oldVersion.folder, newVersion.folder, { bases, products, signal });
  report.enterPhase('prepare');
  return evolution;
}

/** Results of those steps of a job's preparation that come before the new base is loaded. */
interface PreparedSteps {
  readonly files: JobFiles;
  readonly answered: AnsweredRows;
  readonly rows: TokenizedRows;
  readonly evolution: Evolution | null;
}

/** Objects with which a job measures and compares candidates: measurements, gate, and the reference version. */
interface Comparison {
  readonly measurements: Measurements;
  readonly exact: ExactGate;
  readonly reference: ReferenceVersion;
}

async function prepareComparison(
  { bases, spec, signal, report }: JobAttempt,
  { files, answered, rows, evolution }: PreparedSteps,
): Promise<Comparison> {
  const { settings, oldAdapter, oldVersion, newVersion } = files;
  const { searchRows, maxNewTokens } = settings;
  const measurements = new Measurements({ data: rows.data, metric: spec.metric, searchRows, maxNewTokens, signal });
  const exact = { bases, measurements, gate: { metric: spec.metric, ...spec.gate } };
  const fingerprint = async () => evolution?.oldFingerprint ?? requireFingerprint(oldVersion.folder, bases);
  const reference = new ReferenceVersion({
    bases,
    spec,
    exact,
    oldAdapter,
    knownOld: await knownOutcomes(spec, oldAdapter, fingerprint),
    newVersion,
    writer: answered.written?.writer.version,
    emit: (event) => report.emit(event),
    noteOld: (old) => report.reportBaselines({ old }),
  });
  return { measurements, exact, reference };
}

/**
 * Returns the precision that both bases must have: that of the checkpoint, or else that of the answers which a version
 * has written. Undefined if neither demands one.
 */
function requiredPrecision(
  { bases }: JobAttempt,
  { keptPrecision, newVersion }: JobFiles,
  { written }: AnsweredRows,
): Precision | undefined {
  return keptPrecision ?? (written ? precisionLike(written.writer, bases, newVersion.config) : undefined);
}

interface LoadedSteps extends PreparedSteps {
  readonly comparison: Comparison;
  readonly newBase: NewBase;
  readonly products: MatrixProducts;
}

function createContext({ bases, spec, signal, report }: JobAttempt, steps: LoadedSteps): JobContext {
  const { files, answered, evolution, newBase, products } = steps;
  const { settings, oldAdapter, checkpoints } = files;
  const { data, breakdown, distillation } = steps.rows;
  const { measurements, exact } = steps.comparison;
  const warn = (message: string) => report.warn(message);
  return new JobContext({
    spec,
    settings,
    newBase,
    gradients: new GradientPrecision({ bases, newBase, rows: data.search, warn }),
    oldAdapter,
    evolution,
    products,
    canTrain: data.canTrain,
    trainingRows: (step) => newBase.reloadAfter(() => rowsAfter(step, { data, distillation })),
    measurements,
    breakdown,
    measureForGate: (adapter, look) => measureForGate(exact, { base: newBase.loaded, adapter }, look),
    rowFormat: answered.rowFormat,
    answers: answered.written && answered.written.record,
    checkpoints,
    resumed: answered.resumed,
    signal,
    enterPhase: (phase) => report.enterPhase(phase),
    emit: (event) => report.emit(event),
    publish: (publication) => report.publish(publication),
  });
}
