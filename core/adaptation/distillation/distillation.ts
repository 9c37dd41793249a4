import { join } from 'node:path';
import { answerSizes } from '../../data/evaluation/generated-answers.ts';
import type { TokenizedExample } from '../../data/example.ts';
import type { TaskData } from '../../data/task-data.ts';
import { lengthLimit, type TokenizeOptions } from '../../data/tokenize.ts';
import type { LoadedBase } from '../../engine/base-cache.ts';
import type { TextSizes } from '../../engine/generation/greedy.ts';
import { adapterSha256 } from '../../formats/peft/peft-adapter-writer.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { PrecisionSetting } from '../../options/precisions.ts';
import type { JobSettings } from '../../options/job-settings.ts';
import { drawnExamples } from '../../training/training-sampler.ts';
import type { JobSpec } from '../job-spec.ts';
import type { WriterVersion } from '../prompts/writer.ts';
import { isTrained } from '../setup/job-setup.ts';
import { rowSizes, type RowSizes } from '../setup/memory-plan.ts';
import { teacherAnswers, withTeacherAnswer, type TeacherAnswer } from './hard-labels.ts';
import { areLabelsKept, labelInParts } from './label-store.ts';
import { SOFT_TARGETS, teacherTokens, withTeacherTokens } from './soft-targets.ts';

/** The version whose behavior on its own base is to be kept. */
export interface Teacher {
  readonly adapter: Adapter;
  /** Which version it is, if it has written the completions. Default: the old one. */
  readonly version?: WriterVersion;
  /** The precision in which it has written the completions, if it has. */
  readonly precision?: PrecisionSetting;
  /** Loads its base, if there is anything to label. */
  loadBase(): Promise<LoadedBase>;
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
  /** The rows that a training of the job can draw. */
  readonly #drawn: ReadonlySet<number>;

  constructor(options: DistillationOptions) {
    const { batchSize, seed, maxSteps: steps } = options.settings;
    this.#options = options;
    this.#drawn = new Set(drawnExamples(options.data.training().length, { batchSize, seed, steps }));
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

  /** Loads the teacher's base. @throws the signal's reason */
  async loadBase(): Promise<LoadedBase> {
    const { teacher, signal } = this.#options;
    signal.throwIfAborted();
    return teacher.loadBase();
  }

  /** Whether the job has labelled all rows before, so that nothing is left to ask the teacher. */
  areLabelsKept(): Promise<boolean> {
    const drawn = this.#drawnRows();
    return areLabelsKept(drawn, this.#store(drawn));
  }

  /**
   * Returns the training rows, of which those that a training can draw have the teacher's labels.
   * @throws the signal's reason
   */
  async rows(): Promise<readonly TokenizedExample[]> {
    const { data } = this.#options;
    const drawn = this.#drawnRows();
    const taught = (await (this.#isSoft ? this.#soft(drawn) : this.#hard(drawn))).values();
    return data.training().map((example, index) => (this.#drawn.has(index) ? taught.next().value! : example));
  }

  #drawnRows(): TokenizedExample[] {
    return this.#options.data.training().filter((_, index) => this.#drawn.has(index));
  }

  async #soft(examples: readonly TokenizedExample[]): Promise<TokenizedExample[]> {
    const { teacher, settings, signal } = this.#options;
    const labels = await labelInParts(examples, this.#store(examples), async (part): Promise<StoredTokens[]> => {
      const found = await teacherTokens((await teacher.loadBase()).runtime, teacher.adapter, part, { signal });
      return found.map(({ perLabel, ids, shares }) => ({ perLabel, ids: [...ids], shares: [...shares] }));
    });
    return examples.map((example, index) => {
      const { perLabel, ids, shares } = labels[index]!;
      const tokens = { perLabel, ids: Int32Array.from(ids), shares: Float32Array.from(shares) };
      return withTeacherTokens(example, tokens, settings.distillWeight);
    });
  }

  async #hard(examples: readonly TokenizedExample[]): Promise<TokenizedExample[]> {
    const { teacher, settings, format, signal } = this.#options;
    const choices = this.#choices;
    const options = { choices, maxNewTokens: settings.maxNewTokens, maxLength: lengthLimit(format), signal };
    const answers = await labelInParts(examples, this.#store(examples), async (part): Promise<TeacherAnswer[]> => {
      return teacherAnswers(await teacher.loadBase(), teacher.adapter, part, options);
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

  #store(examples: readonly TokenizedExample[]) {
    const { spec, settings, teacher, signal } = this.#options;
    const rows = examples.map(({ tokenIds, labelSpans }) => [tokenIds, labelSpans]);
    const { adapter, version = 'old', precision } = teacher;
    const by = [version, precision, adapterSha256(adapter)];
    const subject = [settings.distill, settings.maxNewTokens, this.#choices?.texts, by, rows];
    return { folder: join(spec.workDir, 'teacher'), subject, signal };
  }
}
