import type { Tensor } from '../../models/base-model.ts';
import type { ModelWeights } from './model-weights.ts';

/**
 * A base's weights, of which those that are not kept in memory are read from their files when they are asked for. The last
 * one stays at hand.
 */
export class FileBackedWeights implements ReadonlyMap<string, Tensor> {
  readonly #model: ModelWeights;
  readonly #names: ReadonlySet<string>;
  readonly #kept: ReadonlyMap<string, Tensor>;
  #last: { readonly name: string; readonly tensor: Tensor } | null = null;

  /** @param model open for as long as weights are read */
  constructor(model: ModelWeights, kept: ReadonlyMap<string, Tensor>) {
    this.#model = model;
    this.#names = new Set(model.names);
    this.#kept = kept;
  }

  get size(): number {
    return this.#names.size;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** @throws FormatError where its file is no longer what it was */
  get(name: string): Tensor | undefined {
    return this.#kept.get(name) ?? (this.#names.has(name) ? this.#read(name) : undefined);
  }

  #read(name: string): Tensor {
    if (this.#last?.name !== name) this.#last = { name, tensor: this.#model.readSync(name) };
    return this.#last.tensor;
  }

  keys(): SetIterator<string> {
    return this.#names.values();
  }

  *values(): MapIterator<Tensor> {
    for (const name of this.#names) yield this.get(name)!;
  }

  *entries(): MapIterator<[string, Tensor]> {
    for (const name of this.#names) yield [name, this.get(name)!];
  }

  [Symbol.iterator](): MapIterator<[string, Tensor]> {
    return this.entries();
  }

  forEach(visit: (tensor: Tensor, name: string, weights: ReadonlyMap<string, Tensor>) => void): void {
    for (const [name, tensor] of this) visit(tensor, name, this);
  }
}
