import type { TokenizedExample } from '../../data/example.ts';
import type { TaskData } from '../../data/task-data.ts';
import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { Distillation } from './distillation.ts';

interface TaughtRowsOptions {
  readonly bases: BaseCache;
  readonly data: TaskData;
  /** Null where the completions of the rows are learned. */
  readonly distillation: Distillation | null;
  /** Of both bases. */
  readonly config: ModelConfig;
}

/**
 * The rows that a job trains on, with the teacher's labels if it has one. Many jobs publish a candidate without any training, so the labels
 * wait until something is trained, provided that the teacher's base stays loaded beside the new one: nothing is loaded then, which might
 * push the new base out of memory while the job computes with it. Otherwise the rows are labelled before the new base is loaded.
 */
export class TaughtRows {
  readonly #options: TaughtRowsOptions;
  /** The teacher's base, where the labels wait. */
  #teacherBase: LoadedBase | null = null;
  #rows: Promise<readonly TokenizedExample[]> | null = null;

  constructor(options: TaughtRowsOptions) {
    this.#options = options;
  }

  /** To be called before the new base is loaded. @throws the signal's reason */
  async prepare(): Promise<void> {
    const { bases, distillation, config } = this.#options;
    if (distillation === null) return;
    const waits = bases.holdsTwo(config) && !(await distillation.areLabelsKept());
    if (waits) this.#teacherBase = await distillation.loadBase();
    else await this.rows();
  }

  /**
   * To be called when the new base is loaded. Where the teacher's base had to make room for it, the rows are labelled at once.
   * @param reload loads the new base again, which had to make room for the teacher's then
   */
  async settle(newBase: LoadedBase, reload: () => Promise<LoadedBase>): Promise<LoadedBase> {
    if (this.#teacherBase === null || (await this.#options.bases.holds(this.#teacherBase))) return newBase;
    await this.rows();
    return reload();
  }

  /** The rows, which are labelled at the first call. @throws the signal's reason */
  rows(): Promise<readonly TokenizedExample[]> {
    const { data, distillation } = this.#options;
    return (this.#rows ??= distillation === null ? Promise.resolve(data.training()) : distillation.rows());
  }
}
