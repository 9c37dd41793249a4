import type { Tensor } from '../../models/base-model.ts';
import type { Allocate } from '../safetensors/safetensors.ts';
import type { ModelWeights } from './model-weights.ts';

/**
 * Weights of a base model by name, some of which stay in their files. A weight in a file is read at each access, unless
 * it is the one that was read last or is cached until {@link FileBackedWeights.evict}.
 */
export class FileBackedWeights implements ReadonlyMap<string, Tensor> {
  readonly #model: ModelWeights;
  readonly #names: ReadonlySet<string>;
  readonly #kept: ReadonlyMap<string, Tensor>;
  #cached: ReadonlyMap<string, Tensor>;
  #last: { readonly name: string; readonly tensor: Tensor } | null = null;

  /**
   * @param model must stay open as long as weights are read
   * @param kept weights that stay in memory
   * @param cached weights that stay in memory until {@link evict}
   */
  constructor(
    model: ModelWeights,
    kept: ReadonlyMap<string, Tensor>,
    cached: ReadonlyMap<string, Tensor> = new Map<string, Tensor>(),
  ) {
    this.#model = model;
    this.#cached = cached;
    this.#names = new Set(model.names);
    this.#kept = kept;
  }

  get size(): number {
    return this.#names.size;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /**
   * Returns a weight by its name, read from its file unless it is in memory; undefined if the base has no such weight.
   * @throws FormatError if the file has become shorter since it was opened
   */
  get(name: string): Tensor | undefined {
    return this.#names.has(name) ? this.#read(name) : undefined;
  }

  /**
   * Reads a weight for temporary use: as {@link get} does, but without caching the weight.
   * @param allocate provides the array for values read from a file
   */
  readUncached(name: string, allocate: Allocate): Tensor | undefined {
    return this.#inMemory(name) ?? (this.#names.has(name) ? this.#model.readSync(name, allocate) : undefined);
  }

  /** Drops from memory the weights that were cached; they are read from disk at every later access. */
  evict(): void {
    this.#cached = new Map();
  }

  #inMemory(name: string): Tensor | undefined {
    return this.#kept.get(name) ?? this.#cached.get(name);
  }

  #read(name: string): Tensor {
    const found = this.#inMemory(name);
    if (found) return found;
    if (this.#last?.name !== name) this.#last = { name, tensor: this.#model.readSync(name) };
    return this.#last.tensor;
  }

  keys(): SetIterator<string> {
    return this.#names.values();
  }

  *values(): MapIterator<Tensor> {
    for (const name of this.#names) yield this.#read(name);
  }

  *entries(): MapIterator<[string, Tensor]> {
    for (const name of this.#names) yield [name, this.#read(name)];
  }

  [Symbol.iterator](): MapIterator<[string, Tensor]> {
    return this.entries();
  }

  forEach(visit: (tensor: Tensor, name: string, weights: ReadonlyMap<string, Tensor>) => void): void {
    for (const [name, tensor] of this) visit(tensor, name, this);
  }
}
