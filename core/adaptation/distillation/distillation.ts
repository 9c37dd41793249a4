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

/** The version whose behavior on its own base is to be kept. */
export type Teacher = Pick<Writer, 'version' | 'adapter' | 'precision' | 'loadBase'>;

export interface DistillationOptions {
  readonly spec: Pick<JobSpec, 'kind' | 'workDir'>;
  readonly settings: JobSettings;
  readonly data: TaskData;
  /** Which version has written the completions, because the rows came without. Null where they came with them. */
  readonly teacher: Teacher | null;
  readonly signal: AbortSignal;
}

/**
 * Returns how a job on prompts alone learns from the version that answers them; null where it trains nothing, or on the completions of its
 * rows. A control learns the answers, as today's practice would.
 */
export function distillationOf({ teacher, ...options }: DistillationOptions): Distillation | null {
  const { spec, settings, data } = options;
  const isTaught = teacher !== null && spec.kind !== 'control' && data.canTrain && isTrained(settings);
  return isTaught ? new Distillation({ ...options, teacher }) : null;
}

/** Returns the rows for the steps of a training after one: those of the task, or those that the teacher has labelled. */
export async function rowsAfter(
  step: number,
  { data, distillation }: Pick<DistillationOptions, 'data'> & { readonly distillation: Distillation | null },
): Promise<TrainingRows> {
  return distillation === null ? { examples: data.training(), steps: Infinity } : distillation.rowsAfter(step);
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
 * Knowledge distillation (Hinton, Vinyals and Dean 2015, arXiv 1503.02531) from a version to its successor: the teacher gives the
 * training rows, whose completions it has written, its soft targets, and training learns these.
 */
export class Distillation {
  readonly #options: DistillationOptions & { readonly teacher: Teacher };
  /** The training rows with the teacher's soft targets, as far as they are labelled. */
  readonly #rows: TokenizedExample[];
  readonly #labelled = new Set<number>();
  /** Number of steps, from the first one, that draw labelled rows alone. */
  #steps = 0;

  constructor(options: DistillationOptions & { readonly teacher: Teacher }) {
    this.#options = options;
    this.#rows = [...options.data.training()];
  }

  /** The sizes of rows with soft targets, among which is the longest one. */
  get trained(): RowSizes[] {
    return rowSizes(this.#options.data.training()).map((sizes) => ({ ...sizes, targets: TEACHER_TOKENS }));
  }

  /**
   * Returns the rows for the steps of a training after one, labelled as far as they say. The teacher's base is loaded where rows have to
   * be labelled that the job has not labelled before.
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
