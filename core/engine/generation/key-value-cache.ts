import type { ModelConfig } from '../../models/config/model-config.ts';
import { CACHED } from '../decoder/program-spec.ts';
import type { ForwardStates, KeyValueArrays } from '../runtime.ts';

/** Smallest number of spare slots that are added when rows grow. Rows also grow by at least half of their length. */
const BLOCK = 64;

/** Place in the cache for the keys and values of one new token, and the row of the forward pass that holds them. */
export interface CachePlace {
  readonly row: number;
  readonly slot: number;
  /** Index of the token's row in the states that the forward pass returns. */
  readonly state: number;
}

/**
 * Key-value cache of some rows, which grow by one token at a time. Rows in use come first, so that a pass reads the
 * arrays without copying. When a row is removed, the last one takes its place. Slots grow by half, so that the total
 * cost of copying is linear in the tokens.
 */
export class KeyValueCache {
  readonly #heads: number;
  readonly #headDim: number;
  readonly #capacity: number;
  #slots = 0;
  #rows = 0;
  #arrays: Record<(typeof CACHED)[number], Float32Array[]>;

  /** @param capacity largest number of rows */
  constructor({ numLayers, numKeyValueHeads, headDim }: ModelConfig, capacity: number) {
    this.#heads = numKeyValueHeads;
    this.#headDim = headDim;
    this.#capacity = capacity;
    const empty = () => Array.from({ length: numLayers }, () => new Float32Array(0));
    this.#arrays = { keys: empty(), values: empty() };
  }

  /** Number of slots in each row, one for each token whose keys and values the row can hold. */
  get slots(): number {
    return this.#slots;
  }

  /** Keys and values of all rows in use, not copied: for each layer, arrays [rows, keyValueHeads, slots, headDim]. */
  get arrays(): KeyValueArrays {
    const used = (arrays: readonly Float32Array[]) =>
      arrays.map((array) => array.subarray(0, this.#rows * this.#rowSize));
    return { keys: used(this.#arrays.keys), values: used(this.#arrays.values) };
  }

  /** Adds an empty row at the end and returns its index. */
  add(): number {
    if (this.#rows === this.#capacity) throw new RangeError(`the cache has its ${this.#capacity} rows already`);
    return this.#rows++;
  }

  /** Removes a row. The last row takes its place and its index. */
  remove(row: number): void {
    const last = --this.#rows;
    const size = this.#rowSize;
    if (row === last) return;
    for (const part of CACHED) {
      for (const array of this.#arrays[part]) array.copyWithin(row * size, last * size, (last + 1) * size);
    }
  }

  /**
   * Makes room for at least `tokens` tokens in each row. Rows that have to grow also get spare room, but only up to
   * `limit` tokens.
   */
  reserve(tokens: number, limit: number): void {
    if (tokens <= this.#slots) return;
    const slots = Math.max(tokens, Math.min(limit, Math.max(tokens + BLOCK, Math.ceil(1.5 * this.#slots))));
    for (const part of CACHED) this.#arrays[part] = this.#arrays[part].map((array) => this.#widened(array, slots));
    this.#slots = slots;
  }

  /** Copies the keys and values that a forward pass returned to their places in the cache. */
  write({ states }: ForwardStates, places: readonly CachePlace[]): void {
    const [heads, width] = [this.#heads, this.#headDim];
    for (const part of CACHED) {
      for (const [layer, array] of this.#arrays[part].entries()) {
        const source = states[part][layer]!;
        for (const { row, slot, state } of places) {
          for (let head = 0; head < heads; head++) {
            const from = (state * heads + head) * width;
            const to = ((row * heads + head) * this.#slots + slot) * width;
            for (let i = 0; i < width; i++) array[to + i] = source[from + i]!;
          }
        }
      }
    }
  }

  get #rowSize(): number {
    return this.#heads * this.#slots * this.#headDim;
  }

  #widened(array: Float32Array, slots: number): Float32Array {
    const wider = new Float32Array(this.#capacity * this.#heads * slots * this.#headDim);
    const [before, after] = [this.#slots * this.#headDim, slots * this.#headDim];
    for (let head = 0; head < this.#rows * this.#heads; head++) {
      wider.set(array.subarray(head * before, (head + 1) * before), head * after);
    }
    return wider;
  }
}

/** Size in bytes of the keys and values of one token in all layers. */
export function bytesPerToken({ numLayers, numKeyValueHeads, headDim }: ModelConfig): number {
  return CACHED.length * Float32Array.BYTES_PER_ELEMENT * numLayers * numKeyValueHeads * headDim;
}
