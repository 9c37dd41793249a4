import { join } from 'node:path';
import type { TokenizedExample } from '../../data/example.ts';
import type { TaskData } from '../../data/task-data.ts';
import { adapterSha256 } from '../../formats/peft/peft-adapter-writer.ts';
import type { JobSettings } from '../../options/job-settings.ts';
import { drawnExamples } from '../../training/training-sampler.ts';
import type { JobSpec } from '../job-spec.ts';
import type { TrainingRows } from '../job-training.ts';
import type { Writer } from '../prompts/writer.ts';
import { isTrained } from '../setup/job-setup.ts';
import { rowSizes, type RowSizes } from '../setup/memory-plan.ts';
import { labelInParts } from './label-store.ts';
import { TEACHER_TOKENS, teacherTokens } from './soft-targets.ts';

/** Adapter version whose behavior on its own base a trained adapter should keep. */
export type Teacher = Pick<Writer, 'version' | 'adapter' | 'precision' | 'loadBase'>;

export interface DistillationOptions {
  readonly spec: Pick<JobSpec, 'kind' | 'workDir'>;
  readonly settings: JobSettings;
  readonly data: TaskData;
  /**
   * Version that has written the completions, if the rows are prompts alone; null if the rows came with completions.
   */
  readonly teacher: Teacher | null;
  readonly signal: AbortSignal;
}

/**
 * Creates the distillation of a job whose rows came as prompts alone: the version that has answered the prompts becomes
 * the teacher. Returns null if the job trains nothing, if the rows came with completions, or if the job is a control,
 * which learns the answers themselves, as is common practice.
 */
export function distillationOf({ teacher, ...options }: DistillationOptions): Distillation | null {
  const { spec, settings, data } = options;
  const isTaught = teacher !== null && spec.kind !== 'control' && data.canTrain && isTrained(settings);
  return isTaught ? new Distillation({ ...options, teacher }) : null;
}

/**
 * Returns the rows for the training steps that follow step `step`, with soft targets if the job has a distillation. The
 * field `steps` of the result is the number of the last step for which these rows may be used; Infinity if they suffice
 * for the whole training.
 */
export async function rowsAfter(
  step: number,
  { data, distillation }: Pick<DistillationOptions, 'data'> & { readonly distillation: Distillation | null },
): Promise<TrainingRows> {
  return distillation === null ? { examples: data.training(), steps: Infinity } : distillation.rowsAfter(step);
}

/**
 * Number of rows, rounded up to whole batches, that the teacher labels before training starts. Whenever training needs
 * more rows, the number of steps with labelled rows doubles: most trainings end soon, and labelling a large dataset
 * would take longer than learning from it.
 */
const FIRST_ROWS = 1024;

/**
 * Soft targets of one row, as stored in JSON: for each label of the row, the teacher's `perLabel` most probable tokens
 * with their probabilities.
 */
interface StoredTokens {
  readonly perLabel: number;
  readonly ids: readonly number[];
  readonly shares: readonly number[];
}

/**
 * Knowledge distillation (Hinton, Vinyals and Dean 2015, arXiv 1503.02531) from an adapter version to its successor.
 * The teacher, which has written the completions of the training rows, labels them with soft targets, and training
 * learns these.
 */
export class Distillation {
  readonly #options: DistillationOptions & { readonly teacher: Teacher };
  /** Training rows; those labelled so far have the teacher's soft targets. */
  readonly #rows: TokenizedExample[];
  readonly #labelled = new Set<number>();
  /** Number of training steps, counted from the first one, that draw only rows with soft targets. */
  #steps = 0;

  constructor(options: DistillationOptions & { readonly teacher: Teacher }) {
    this.#options = options;
    this.#rows = [...options.data.training()];
  }

  /** Sizes of the rows that are trained on with soft targets, for the memory plan. The longest row is among them. */
  get trained(): RowSizes[] {
    return rowSizes(this.#options.data.training()).map((sizes) => ({ ...sizes, targets: TEACHER_TOKENS }));
  }

  /**
   * Labels the rows that training needs next, after `step` steps, and returns all training rows. The field `steps` of
   * the result is the number of steps, counted from the first one, that draw only labelled rows; it is larger than
   * `step`. The teacher's base is loaded, unless an earlier attempt at the job has labelled the same rows.
   * @param step number of steps that the training has done
   * @throws the signal's reason
   */
  async rowsAfter(step: number): Promise<TrainingRows> {
    while (this.#steps <= step) await this.#labelMore();
    return { examples: this.#rows, steps: this.#steps };
  }

  async #labelMore(): Promise<void> {
    const { batchSize, seed, maxSteps } = this.#options.settings;
    const steps = this.#steps === 0 ? Math.ceil(FIRST_ROWS / batchSize) : 2 * this.#steps;
    const count = this.#rows.length;
    const drawn = drawnExamples(count, { batchSize, seed, steps: Math.min(steps, maxSteps) });
    const added = drawn.filter((row) => !this.#labelled.has(row));
    const taught = await this.#label(added.map((row) => this.#rows[row]!));
    for (const [i, row] of added.entries()) {
      this.#rows[row] = taught[i]!;
      this.#labelled.add(row);
    }
    this.#steps = steps >= maxSteps || drawn.length === count ? Infinity : steps;
  }

  async #label(examples: readonly TokenizedExample[]): Promise<TokenizedExample[]> {
    const { spec, teacher, signal } = this.#options;
    const { adapter, version, precision } = teacher;
    const rows = examples.map(({ tokenIds, labelSpans }) => [tokenIds, labelSpans]);
    const store = {
      folder: join(spec.workDir, 'teacher'),
      subject: [version, precision, adapterSha256(adapter), rows],
    };
    const labels = await labelInParts(examples, { ...store, signal }, async (part): Promise<StoredTokens[]> => {
      const found = await teacherTokens((await teacher.loadBase()).runtime, adapter, part, { signal });
      return found.map(({ perLabel, ids, shares }) => ({ perLabel, ids: [...ids], shares: [...shares] }));
    });
    return examples.map((example, index) => {
      const { perLabel, ids, shares } = labels[index]!;
      return { ...example, targets: { perLabel, ids: Int32Array.from(ids), shares: Float32Array.from(shares) } };
    });
  }
}
