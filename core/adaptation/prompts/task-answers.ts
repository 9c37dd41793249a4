import type { BaseCache } from '../../engine/base-cache.ts';
import type { GivenTask, TaskRows } from '../../data/task-data.ts';
import { FormatError, isSystemFault } from '../../formats/errors.ts';
import { loadAdapter } from '../../formats/peft/peft-adapter.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { Precision } from '../../options/precisions.ts';
import type { AnchorSpec, JobSpec } from '../job-spec.ts';
import { answerPrompts, type AnsweredTask, type AnswerPromptsOptions, type Writer } from './answer-prompts.ts';

interface TaskAnswersOptions extends Omit<AnswerPromptsOptions, 'writer'> {
  readonly bases: BaseCache;
  readonly spec: JobSpec;
  readonly oldAdapter: Adapter;
  /** Default: what is chosen for the base. */
  readonly precision: Precision | undefined;
}

/** A writer, and which version it is. */
interface ChosenWriter extends Writer {
  readonly version: 'anchor' | 'old';
}

/** A task's rows with answers, and who has written them if they came without. */
export interface TaskWithAnswers {
  readonly rows: TaskRows;
  readonly written: (Omit<AnsweredTask, 'rows'> & { readonly writer: ChosenWriter }) | null;
}

/**
 * Returns a task's rows with the answers that they came with. Prompts alone are answered by the version that the margin counts
 * from: the anchor, so that what is lost does not add up over versions, or else the old version. An anchor that cannot be read
 * gives way to the old version, with a warning.
 * @throws as {@link answerPrompts} does
 */
export async function withAnswers(task: GivenTask, options: TaskAnswersOptions): Promise<TaskWithAnswers> {
  if (!task.promptsOnly) return { rows: task.rows, written: null };
  const { bases, spec, oldAdapter, precision, warn } = options;
  const use = async (writer: ChosenWriter): Promise<TaskWithAnswers> => {
    const { rows, ...counts } = await answerPrompts(task.rows, { ...options, writer });
    return { rows, written: { ...counts, writer } };
  };
  const old: ChosenWriter = {
    version: 'old',
    adapter: oldAdapter,
    loadBase: () => bases.load(spec.oldBase, precision),
  };
  const anchor = spec.gate.kind === 'absolute' ? null : (spec.anchor ?? null);
  if (anchor === null) return use(old);
  if (anchor.source === null) {
    warn(givesWay(anchor, 'its files or its base are gone'));
    return use(old);
  }
  try {
    const { base, adapter: folder } = anchor.source;
    const adapter = await loadAdapter(folder, (await bases.describe(base)).config);
    return await use({ version: 'anchor', adapter, loadBase: () => bases.load(base, precision) });
  } catch (error) {
    if (!(error instanceof FormatError) || isSystemFault(error)) throw error;
    warn(givesWay(anchor, 'its files or its base cannot be read'));
    return use(old);
  }
}

function givesWay({ number, oldNumber }: AnchorSpec, reason: string): string {
  const imported = number === null ? 'the imported version' : `version ${number}, which was imported`;
  return (
    `version ${oldNumber}, which is carried over, answers the prompts, and the margin counts from it and not from ${imported}: ` +
    reason
  );
}
