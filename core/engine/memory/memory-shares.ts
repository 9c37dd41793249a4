import type { ModelConfig } from '../../models/config/model-config.ts';
import type { Precision, PrecisionSetting } from '../../options/precisions.ts';
import type { Runtime } from '../runtime.ts';
import { baseBytes, largestWeightBytes } from './base-memory.ts';
import { PROCESS_BYTES, type AvailableMemory } from './process-memory.ts';

interface Share {
  readonly config: ModelConfig;
  precision: PrecisionSetting;
  runtime?: Pick<Runtime, 'activationBytes'> | undefined;
}

/** Memory that a job needs in addition to its base's weights. */
export interface JobMemory {
  /** Bytes that the job holds from its beginning to its end: programs, adapters, the evolution. */
  readonly kept: number;
  /** Smallest number of bytes for activations with which the job can compute. */
  readonly working: number;
  /** Whether the job computes gradients. */
  readonly differentiated: boolean;
}

const NO_JOB: JobMemory = { kept: 0, working: 0, differentiated: true };

/**
 * Divides a process's memory between its bases and their computations: the activations of every runtime get the memory
 * that the bases, the process itself and its job leave free.
 */
export class MemoryShares {
  readonly #available: () => AvailableMemory;
  readonly #shares = new Map<string, Share>();
  #job = NO_JOB;

  /** @param available returns the memory limit of the whole process, called whenever something changes */
  constructor(available: () => AvailableMemory) {
    this.#available = available;
  }

  /** Current memory limit of the whole process. */
  get available(): AvailableMemory {
    return this.#available();
  }

  /** Number of bytes that this process may still allocate. */
  get free(): number {
    return Math.max(0, Math.min(process.availableMemory(), this.available.bytes - process.memoryUsage.rss()));
  }

  /** Whether a base in float32 and the needs of the present job fit into the memory, if no other base is loaded. */
  holdsFloat32(config: ModelConfig): boolean {
    const { kept, working } = this.#job;
    return baseBytes(config, 'f32') + PROCESS_BYTES + kept + working <= this.available.bytes;
  }

  /** Reserves the memory that a job needs in addition to its base, and gives up the reservation of an earlier job. */
  reserve(job: JobMemory): void {
    this.#job = job;
    this.#divide();
  }

  /**
   * Reserves memory for a base that will be loaded.
   * @param others keys of the other bases, least recently used first
   * @returns the keys of bases that must be released for it
   */
  claim(key: string, { config, precision }: Pick<Share, 'config' | 'precision'>, others: readonly string[]): string[] {
    const bytes = this.#bytesOf({ config, precision });
    const loading = largestWeightBytes(config);
    const surplus: string[] = [];
    for (const other of others) {
      if (this.#left() - bytes - loading >= 0) break;
      this.#shares.delete(other);
      surplus.push(other);
    }
    this.#shares.set(key, { config, precision });
    this.#divide();
    return surplus;
  }

  /**
   * Registers the runtime of a base. Its memory limit for activations is set now, and again whenever the limit changes.
   */
  follow(
    key: string,
    { runtime, precision }: { readonly runtime: Share['runtime']; readonly precision: Precision },
  ): void {
    const share = this.#shares.get(key);
    if (!share) return;
    share.runtime = runtime;
    share.precision = precision;
    this.#divide();
  }

  release(key: string): void {
    this.#shares.delete(key);
    this.#divide();
  }

  clear(): void {
    this.#shares.clear();
  }

  #bytesOf({ config, precision }: Share): number {
    return baseBytes(config, precision, this.#job.differentiated);
  }

  #left(): number {
    const bases = [...this.#shares.values()].reduce((total, share) => total + this.#bytesOf(share), 0);
    return this.available.bytes - PROCESS_BYTES - this.#job.kept - bases;
  }

  #divide(): void {
    const left = Math.max(0, this.#left());
    for (const { runtime } of this.#shares.values()) if (runtime) runtime.activationBytes = left;
  }
}
