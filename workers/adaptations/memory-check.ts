import { baseBytes } from '../../core/engine/memory/base-memory.ts';
import { PROCESS_BYTES, type AvailableMemory } from '../../core/engine/memory/process-memory.ts';
import type { ModelConfig } from '../../core/models/config/model-config.ts';
import type { PrecisionSetting } from '../../core/options/precisions.ts';

/** The code of a job that needs more memory than its worker has. */
export const INSUFFICIENT_MEMORY = 'insufficient_memory';

/** How long a job that does not fit waits for another worker before it fails. */
const PATIENCE_MS = 10 * 60_000;

/** Interval at which a job that does not fit comes back. */
export const ASK_AGAIN_MS = 15_000;

/** What a worker has for its training process. */
export interface WorkerMemory {
  readonly available: AvailableMemory;
  readonly precision: PrecisionSetting;
}

/** Remembers the jobs that a worker leaves to others because they do not fit into its memory. */
export class MemoryCheck {
  readonly #memory: WorkerMemory;
  readonly #now: () => number;
  /** When this worker refused a job first, and why. */
  readonly #refused = new Map<string, { readonly since: number; readonly reason: string }>();

  constructor(memory: WorkerMemory, now: () => number = Date.now) {
    this.#memory = memory;
    this.#now = now;
  }

  /**
   * Says why a base cannot be loaded here, or returns null if it may fit. The base counts with the process alone, so that
   * what is refused here cannot fit whatever the job is.
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
      `this job needs at least ${gibibytes(needed)} GiB (base ${gibibytes(base)}, process ${gibibytes(PROCESS_BYTES)}), ` +
      `this worker has ${gibibytes(available.bytes)} GiB (${available.source}): use ${hint}a worker with more memory`
    );
  }

  /** Why this worker has refused a job; null if it has not. */
  refusalOf(jobId: string): string | null {
    return this.#refused.get(jobId)?.reason ?? null;
  }

  /** The jobs that this worker still leaves to others. */
  get left(): string[] {
    return [...this.#refused.keys()].filter((jobId) => !this.isHopeless(jobId));
  }

  /** Notes a refusal. @returns whether it is the first one of this job */
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
