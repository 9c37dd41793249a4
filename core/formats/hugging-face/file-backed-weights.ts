import type { Tensor } from '../../models/base-model.ts';
import type { Allocate } from '../safetensors/safetensors.ts';
import type { ModelWeights } from './model-weights.ts';

/**
 * The weights of a base model, some of which stay in their files and are read each time they are asked for. The tensor
 * read last is cached.
 */
export class FileBackedWeights implements ReadonlyMap<string, Tensor> {
  readonly #model: ModelWeights;
  readonly #names: ReadonlySet<string>;
  readonly #kept: ReadonlyMap<string, Tensor>;
  #passing: ReadonlyMap<string, Tensor>;
  #last: { readonly name: string; readonly tensor: Tensor } | null = null;

  /**
   * @param model must stay open for as long as weights are read
   * @param kept the weights that are held in memory
   * @param passing the weights that are held in memory until {@link letGo}
   */
  constructor(
    model: ModelWeights,
    kept: ReadonlyMap<string, Tensor>,
    passing: ReadonlyMap<string, Tensor> = new Map<string, Tensor>(),
  ) {
    this.#model = model;
    this.#passing = passing;
    this.#names = new Set(model.names);
    this.#kept = kept;
  }

  get size(): number {
    return this.#names.size;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** @throws FormatError if the tensor's file was cut after it was opened */
  get(name: string): Tensor | undefined {
    return this.#names.has(name) ? this.#read(name) : undefined;
  }

  /**
   * {@link get} for a weight that is needed for a moment.
   * @param allocate provides the array for what is read from a file
   */
  borrow(name: string, allocate: Allocate): Tensor | undefined {
    return this.#inMemory(name) ?? (this.#names.has(name) ? this.#model.readSync(name, allocate) : undefined);
  }

  /** Leaves on disk what was in memory for a while. */
  letGo(): void {
    this.#passing = new Map();
  }

  #inMemory(name: string): Tensor | undefined {
    return this.#kept.get(name) ?? this.#passing.get(name);
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
