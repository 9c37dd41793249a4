import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import type { GivenTask, TaskRows } from '../../data/task-data.ts';
import { FormatError, isSystemFault } from '../../formats/errors.ts';
import { loadAdapter } from '../../formats/peft/peft-adapter.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { AnchorSpec, JobSpec } from '../job-spec.ts';
import { answerPrompts, type AnsweredTask, type AnswerPromptsOptions } from './answer-prompts.ts';
import { writingPrecision, type AnswersRecord, type Writer } from './writer.ts';

interface TaskAnswersOptions extends Omit<AnswerPromptsOptions, 'writer'> {
  readonly bases: BaseCache;
  readonly spec: JobSpec;
  readonly oldAdapter: Adapter;
  /** Model configuration of the new base, with which that of the old base agrees. */
  readonly config: ModelConfig;
  /**
   * Identity of the answers that the job used before it was interrupted. Null for a job that begins, or whose rows came
   * with answers.
   */
  readonly before: AnswersRecord | null;
}

interface WrittenAnswers extends Pick<AnsweredTask, 'answers' | 'ended'> {
  readonly writer: Writer;
  /** Identity of the written answers, which checkpoints store. */
  readonly record: AnswersRecord;
}

/**
 * Rows of a task, all with answers. `written` tells which version has written the answers; it is null if the rows came
 * with answers.
 */
export interface TaskWithAnswers {
  readonly rows: TaskRows;
  readonly written: WrittenAnswers | null;
}

/** Error for a version that is to answer prompts, but whose files, or those of its base, cannot be read. */
class UnreadableWriterError extends Error {}

/**
 * Returns the rows of a task, all with answers. The anchor answers prompts alone, so that losses do not add up over
 * versions. Without an anchor, or for an absolute gate, the old version answers them. If the anchor cannot be read, the
 * old version replaces it, with a warning, and does so again when the job resumes.
 * @throws the errors of {@link answerPrompts}
 */
export async function withAnswers(task: GivenTask, options: TaskAnswersOptions): Promise<TaskWithAnswers> {
  if (!task.promptsOnly) return { rows: task.rows, written: null };
  const { spec, oldAdapter, warn } = options;
  const use = async (writer: Writer, by: Writer = writer): Promise<TaskWithAnswers> => {
    const { rows, digest, ...counts } = await answerPrompts(task.rows, { ...options, writer: by });
    const { version, precision } = writer;
    return { rows, written: { ...counts, writer, record: { writer: version, precision, digest } } };
  };
  const old = () => use({ version: 'old', adapter: oldAdapter, ...baseOf(spec.oldBase, options) });
  const anchor = spec.gate.kind === 'absolute' ? null : (spec.anchor ?? null);
  if (anchor === null) return old();
  const fallBack = (reason: string) => {
    warn(fallbackWarning(anchor, reason));
    return old();
  };
  if (options.before?.writer === 'old') return fallBack('its files or its base could not be read when the job began');
  if (anchor.source === null) return fallBack('its files or its base are gone');
  try {
    const writer = await readAnchor(anchor.source, options);
    return await use(writer, { ...writer, loadBase: () => readable(writer.loadBase()) });
  } catch (error) {
    if (!(error instanceof UnreadableWriterError)) throw error;
    return fallBack('its files or its base cannot be read');
  }
}

async function readAnchor(
  { base, adapter: folder }: NonNullable<AnchorSpec['source']>,
  options: TaskAnswersOptions,
): Promise<Writer> {
  const config = async (): Promise<ModelConfig> => (await options.bases.describe(base)).config;
  const adapter = await readable(config().then((found) => loadAdapter(folder, found)));
  return { version: 'anchor', adapter, ...baseOf(base, options) };
}

/**
 * Waits for the reading of files, and returns its result.
 * @throws UnreadableWriterError for invalid files; other errors, such as that of a failing disk, unchanged
 */
async function readable<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof FormatError) || isSystemFault(error)) throw error;
    throw new UnreadableWriterError(error.message, { cause: error });
  }
}

function baseOf(
  base: string,
  { bases, spec, config, before }: TaskAnswersOptions,
): Pick<Writer, 'precision' | 'loadBase'> {
  const precision = before?.precision ?? writingPrecision(bases, config, spec.gate);
  const loadBase = (): Promise<LoadedBase> => bases.load(base, precision === 'auto' ? undefined : precision);
  return { precision, loadBase };
}

function fallbackWarning({ number, oldNumber }: AnchorSpec, reason: string): string {
  const imported = number === null ? 'the imported version' : `version ${number}, which was imported`;
  return (
    `version ${oldNumber}, which is carried over, answers the prompts, ` +
    `and the margin counts from it and not from ${imported}: ${reason}`
  );
}
