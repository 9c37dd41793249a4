import type { ModelConfig } from '../../models/config/model-config.ts';
import type { Precision, PrecisionSetting } from '../../options/precisions.ts';
import type { Runtime } from '../runtime.ts';
import { baseBytes, largestWeightBytes } from './base-memory.ts';
import { PROCESS_BYTES, type AvailableMemory } from './process-memory.ts';

interface Share {
  readonly config: ModelConfig;
  bytes: number;
  runtime?: Pick<Runtime, 'activationBytes'> | undefined;
}

/**
 * Shares a process's memory between its bases and what is computed with them: every runtime gets as much for activations
 * as the bases, the process itself and what its job keeps leave over.
 */
export class MemoryShares {
  readonly #available: () => AvailableMemory;
  readonly precision: PrecisionSetting;
  readonly #shares = new Map<string, Share>();
  /** Bytes of what a job keeps beside its base: programs, adapters, the evolution. */
  #reserved = 0;

  /** @param available how much the whole process may take, asked for whenever something changes */
  constructor(available: () => AvailableMemory, precision: PrecisionSetting) {
    this.#available = available;
    this.precision = precision;
  }

  /** How much the whole process may take now. */
  get available(): AvailableMemory {
    return this.#available();
  }

  /** Whether bases of these configs fit into the memory at once, beside what is reserved. */
  fits(...configs: readonly ModelConfig[]): boolean {
    const bases = configs.reduce((total, config) => total + baseBytes(config, this.precision), 0);
    return bases + PROCESS_BYTES + this.#reserved <= this.available.bytes;
  }

  /** Keeps bytes free for a job. */
  reserve(bytes: number): void {
    this.#reserved = bytes;
    this.#divide();
  }

  /**
   * Gives a base its share.
   * @param others keys of the other bases, least recently used first
   * @returns the keys of those that have to be released for it
   */
  claim(key: string, config: ModelConfig, others: readonly string[]): string[] {
    const bytes = baseBytes(config, this.precision);
    const loading = largestWeightBytes(config);
    const surplus: string[] = [];
    for (const other of others) {
      if (this.#left() - bytes - loading >= 0) break;
      this.#shares.delete(other);
      surplus.push(other);
    }
    this.#shares.set(key, { config, bytes });
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
    share.bytes = baseBytes(share.config, precision);
    this.#divide();
  }

  release(key: string): void {
    this.#shares.delete(key);
    this.#divide();
  }

  clear(): void {
    this.#shares.clear();
  }

  #left(): number {
    const bases = [...this.#shares.values()].reduce((total, { bytes }) => total + bytes, 0);
    return this.available.bytes - PROCESS_BYTES - this.#reserved - bases;
  }

  #divide(): void {
    const left = Math.max(0, this.#left());
    for (const { runtime } of this.#shares.values()) if (runtime) runtime.activationBytes = left;
  }
}
