import { baseBytes } from '../../core/engine/memory/base-memory.ts';
import { PROCESS_BYTES, type AvailableMemory } from '../../core/engine/memory/process-memory.ts';
import type { ModelConfig } from '../../core/models/config/model-config.ts';
import type { PrecisionSetting } from '../../core/options/precisions.ts';

/** Error code of a job that needs more memory than its worker has. */
export const INSUFFICIENT_MEMORY = 'insufficient_memory';

/**
 * Time that a job which does not fit into this worker's memory waits for another worker before it fails, in
 * milliseconds.
 */
const PATIENCE_MS = 10 * 60_000;

/** Default interval at which a job that does not fit into a worker's memory is tried again, in milliseconds. */
export const ASK_AGAIN_MS = 15_000;

/** Memory available to a worker's training process, and the precision that decides how much of it a base takes. */
export interface WorkerMemory {
  readonly available: AvailableMemory;
  readonly precision: PrecisionSetting;
}

/** Tracks the jobs that a worker leaves to others because they do not fit into its memory. */
export class MemoryCheck {
  readonly #memory: WorkerMemory;
  readonly #now: () => number;
  /** First refusal of each job by this worker, by job id: its time in milliseconds, and its reason. */
  readonly #refused = new Map<string, { readonly since: number; readonly reason: string }>();

  constructor(memory: WorkerMemory, now: () => number = Date.now) {
    this.#memory = memory;
    this.#now = now;
  }

  /**
   * Reason why a base cannot be loaded into this worker's memory; null if it may fit. The estimate counts only the base
   * and the process itself, so a refused job would not fit with any options.
   */
  objectionTo(config: ModelConfig): string | null {
    const { available, precision } = this.#memory;
    const base = baseBytes(config, precision);
    const needed = base + PROCESS_BYTES;
    if (needed <= available.bytes) return null;
    const gibibytes = (bytes: number) => (bytes / 2 ** 30).toFixed(1);
    const smaller = baseBytes(config, 'int8') + PROCESS_BYTES;
    const hint = smaller <= available.bytes ? 'READAPT_PRECISION=int8 or ' : '';
    return (
      `this job needs at least ${gibibytes(needed)} GiB ` +
      `(base ${gibibytes(base)}, process ${gibibytes(PROCESS_BYTES)}), ` +
      `this worker has ${gibibytes(available.bytes)} GiB (${available.source}): use ${hint}a worker with more memory`
    );
  }

  /** Reason for which this worker has refused a job; null if it has not. */
  refusalOf(jobId: string): string | null {
    return this.#refused.get(jobId)?.reason ?? null;
  }

  /** Ids of the refused jobs that this worker still leaves to other workers. */
  get left(): string[] {
    return [...this.#refused.keys()].filter((jobId) => !this.isHopeless(jobId));
  }

  /**
   * Records that this worker refuses a job.
   * @returns whether it refuses the job for the first time
   */
  refuse(jobId: string, reason: string): boolean {
    const isFirst = !this.#refused.has(jobId);
    if (isFirst) this.#refused.set(jobId, { since: this.#now(), reason });
    return isFirst;
  }

  /** Whether a refused job has waited so long that no other worker seems to have more memory. */
  isHopeless(jobId: string): boolean {
    const refusal = this.#refused.get(jobId);
    return refusal !== undefined && this.#now() - refusal.since >= PATIENCE_MS;
  }
}
