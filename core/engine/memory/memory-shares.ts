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

/** What a job needs beside its base. */
export interface JobMemory {
  /** Bytes of what it keeps: programs, adapters, the evolution. */
  readonly kept: number;
  /** Bytes that it needs at the least to compute with a base. */
  readonly working: number;
  /** Whether it computes gradients. */
  readonly differentiated: boolean;
}

const NO_JOB: JobMemory = { kept: 0, working: 0, differentiated: true };

/**
 * Shares a process's memory between its bases and what is computed with them: every runtime gets as much for activations
 * as the bases, the process itself and what its job keeps leave over.
 */
export class MemoryShares {
  readonly #available: () => AvailableMemory;
  readonly #shares = new Map<string, Share>();
  #job = NO_JOB;

  /** @param available how much the whole process may take, asked for whenever something changes */
  constructor(available: () => AvailableMemory) {
    this.#available = available;
  }

  /** How much the whole process may take now. */
  get available(): AvailableMemory {
    return this.#available();
  }

  /** Bytes that this process may still take. */
  get free(): number {
    return Math.max(0, Math.min(process.availableMemory(), this.available.bytes - process.memoryUsage.rss()));
  }

  /** Whether a base fits in float32, alone and beside what the job needs. */
  holdsFloat32(config: ModelConfig): boolean {
    const { kept, working } = this.#job;
    return baseBytes(config, 'f32') + PROCESS_BYTES + kept + working <= this.available.bytes;
  }

  /** Keeps memory free for a job. */
  reserve(job: JobMemory): void {
    this.#job = job;
    this.#divide();
  }

  /**
   * Gives a base its share.
   * @param others keys of the other bases, least recently used first
   * @returns the keys of those that have to be released for it
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

  /** Lets a base's runtime know what is left for its activations, now and when that changes. */
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
