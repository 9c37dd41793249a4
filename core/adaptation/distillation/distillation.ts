import { join } from 'node:path';
import { answerSizes } from '../../data/evaluation/generated-answers.ts';
import type { TokenizedExample } from '../../data/example.ts';
import type { TaskData } from '../../data/task-data.ts';
import { lengthLimit, type TokenizeOptions } from '../../data/tokenize.ts';
import type { LoadedBase } from '../../engine/base-cache.ts';
import type { TextSizes } from '../../engine/generation/greedy.ts';
import { adapterSha256 } from '../../formats/peft/peft-adapter-writer.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { Precision, PrecisionSetting } from '../../options/precisions.ts';
import type { JobSettings } from '../../options/job-settings.ts';
import { drawnExamples } from '../../training/training-sampler.ts';
import type { JobSpec } from '../job-spec.ts';
import type { TrainingRows } from '../job-training.ts';
import type { WriterVersion } from '../prompts/writer.ts';
import { isTrained } from '../setup/job-setup.ts';
import type { NewBase } from '../setup/new-base.ts';
import { rowSizes, type RowSizes } from '../setup/memory-plan.ts';
import { teacherAnswers, withTeacherAnswer, type TeacherAnswer } from './hard-labels.ts';
import { labelInParts } from './label-store.ts';
import { SOFT_TARGETS, teacherTokens, withTeacherTokens } from './soft-targets.ts';

/** The version whose behavior on its own base is to be kept. */
export interface Teacher {
  readonly adapter: Adapter;
  /** Which version it is, if it has written the completions. Default: the old one. */
  readonly version?: WriterVersion;
  /** The precision in which it has written the completions, if it has. */
  readonly precision?: PrecisionSetting;
  /**
   * Loads its base.
   * @param precision that of the job, in which it is loaded unless it has written the completions
   */
  loadBase(precision: Precision): Promise<LoadedBase>;
}

export interface DistillationOptions {
  readonly spec: Pick<JobSpec, 'metric' | 'workDir'>;
  readonly settings: JobSettings;
  readonly data: TaskData;
  /** How the task's rows were made into tokens. */
  readonly format: TokenizeOptions;
  readonly teacher: Teacher;
  /** Whether the teacher has written the completions, because the rows came without. Default: no. */
  readonly hasWritten?: boolean;
  readonly signal: AbortSignal;
}

/** Returns how a job learns from its old version; null where it trains nothing, or on the completions of its rows. */
export function distillationOf(options: DistillationOptions): Distillation | null {
  const { data, settings, hasWritten = false } = options;
  const { distill } = settings;
  // Where the teacher has written the completions, they are its hard labels already.
  const isTaught = distill === 'soft' || (distill === 'hard' && !hasWritten);
  return data.canTrain && isTrained(settings) && isTaught ? new Distillation(options) : null;
}

/** Returns the rows for the steps of a training after one: those of the task, or those that the teacher has labelled. */
export async function rowsAfter(
  step: number,
  { data, distillation, newBase }: Pick<DistillationOptions, 'data'> & Taught,
): Promise<TrainingRows> {
  if (distillation === null) return { examples: data.training(), steps: Infinity };
  return distillation.rowsAfter(step, newBase.precision);
}

interface Taught {
  /** Null where the completions are learned. */
  readonly distillation: Distillation | null;
  readonly newBase: Pick<NewBase, 'precision'>;
}

/**
 * Number of rows that are labelled when something is trained for the first time, as far as a training can draw them. A training that goes
 * on has twice as many labelled, and so on: most end soon, and a large dataset would take longer to label than to learn from.
 */
const FIRST_ROWS = 1024;

/** A teacher's tokens and their probabilities at the labels of a row, as JSON. */
interface StoredTokens {
  readonly perLabel: number;
  readonly ids: readonly number[];
  readonly shares: readonly number[];
}

/**
 * Knowledge distillation (Hinton, Vinyals and Dean 2015, arXiv 1503.02531) from the old version to its successor: the old
 * adapter on the old base, the teacher, labels training rows, and training learns its labels.
 */
export class Distillation {
  readonly #options: DistillationOptions;
  /** The training rows with the teacher's labels, as far as they are labelled. */
  readonly #rows: TokenizedExample[];
  readonly #labelled = new Set<number>();
  /** Number of steps, from the first one, that draw labelled rows alone. */
  #steps = 0;

  constructor(options: DistillationOptions) {
    this.#options = options;
    this.#rows = [...options.data.training()];
  }

  /** The sizes of rows with the teacher's labels, among which is the longest one. */
  get trained(): RowSizes[] {
    const { data, format } = this.#options;
    if (this.#isSoft) return rowSizes(data.training()).map((sizes) => ({ ...sizes, targets: SOFT_TARGETS }));
    const { generated } = this;
    if (generated === null) return rowSizes(data.training());
    const tokens = Math.min(generated.longest, lengthLimit(format));
    return [{ tokens, labels: tokens }];
  }

  /** The texts that the teacher generates; null if it generates none. */
  get generated(): TextSizes | null {
    const { data, settings } = this.#options;
    return this.#isSoft || this.#choices ? null : answerSizes(data.training(), settings.maxNewTokens);
  }

  /**
   * Returns the rows for the steps of a training after one, labelled as far as they say. The teacher's base is loaded where rows have to
   * be labelled that the job has not labelled before.
   * @param step number of steps that the training has done
   * @param precision that of the job
   * @throws the signal's reason
   */
  async rowsAfter(step: number, precision: Precision): Promise<TrainingRows> {
    while (this.#steps <= step) await this.#labelMore(precision);
    return { examples: this.#rows, steps: this.#steps };
  }

  async #labelMore(precision: Precision): Promise<void> {
    const { batchSize, seed, maxSteps } = this.#options.settings;
    const steps = this.#steps === 0 ? Math.ceil(FIRST_ROWS / batchSize) : 2 * this.#steps;
    const count = this.#rows.length;
    const drawn = drawnExamples(count, { batchSize, seed, steps: Math.min(steps, maxSteps) });
    const added = drawn.filter((row) => !this.#labelled.has(row));
    const examples = added.map((row) => this.#rows[row]!);
    const taught = await (this.#isSoft ? this.#soft(examples, precision) : this.#hard(examples, precision));
    for (const [i, row] of added.entries()) {
      this.#rows[row] = taught[i]!;
      this.#labelled.add(row);
    }
    this.#steps = steps >= maxSteps || drawn.length === count ? Infinity : steps;
  }

  async #soft(examples: readonly TokenizedExample[], precision: Precision): Promise<TokenizedExample[]> {
    const { teacher, settings, signal } = this.#options;
    const store = this.#store(examples, precision);
    const labels = await labelInParts(examples, store, async (part): Promise<StoredTokens[]> => {
      const found = await teacherTokens((await teacher.loadBase(precision)).runtime, teacher.adapter, part, { signal });
      return found.map(({ perLabel, ids, shares }) => ({ perLabel, ids: [...ids], shares: [...shares] }));
    });
    return examples.map((example, index) => {
      const { perLabel, ids, shares } = labels[index]!;
      const tokens = { perLabel, ids: Int32Array.from(ids), shares: Float32Array.from(shares) };
      return withTeacherTokens(example, tokens, settings.distillWeight);
    });
  }

  async #hard(examples: readonly TokenizedExample[], precision: Precision): Promise<TokenizedExample[]> {
    const { teacher, settings, format, signal } = this.#options;
    const choices = this.#choices;
    const options = { choices, maxNewTokens: settings.maxNewTokens, maxLength: lengthLimit(format), signal };
    const store = this.#store(examples, precision);
    const answers = await labelInParts(examples, store, async (part): Promise<TeacherAnswer[]> => {
      return teacherAnswers(await teacher.loadBase(precision), teacher.adapter, part, options);
    });
    return examples.map((example, index) => withTeacherAnswer(example, answers[index]!, { choices, format }));
  }

  /** A metric that ranks choices is about tenants that ask for one of them. */
  get #choices() {
    const { spec, data } = this.#options;
    return spec.metric === 'accuracy' ? data.choices : null;
  }

  get #isSoft(): boolean {
    return this.#options.settings.distill === 'soft';
  }

  #store(examples: readonly TokenizedExample[], jobPrecision: Precision) {
    const { spec, settings, teacher, signal } = this.#options;
    const rows = examples.map(({ tokenIds, labelSpans }) => [tokenIds, labelSpans]);
    const { adapter, version = 'old', precision = jobPrecision } = teacher;
    const by = [version, precision, adapterSha256(adapter)];
    const subject = [settings.distill, settings.maxNewTokens, this.#choices?.texts, by, rows];
    return { folder: join(spec.workDir, 'teacher'), subject, signal };
  }
}
