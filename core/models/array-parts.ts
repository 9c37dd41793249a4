/** Size of the largest array that is cut into parts, in bytes. */
const MAX_BYTES = 2 ** 28;

interface CutArray<T> {
  readonly length: number;
  readonly BYTES_PER_ELEMENT: number;
  subarray(begin: number, end: number): T;
}

/**
 * Allocates large arrays and hands out parts of them, for many arrays that stay in memory together. If each was
 * allocated by itself, the garbage collector would run after every few dozen MiB; for one large array it rarely runs.
 * An unused part of a large array costs no memory, because the system provides memory only when it is first written to.
 */
export class ArrayParts<T extends CutArray<T>> {
  readonly #make: new (length: number) => T;
  /** Approximate number of values still to be taken for which no large array has been allocated yet. */
  #missing: number;
  #whole: T;
  #end = 0;

  /** @param total approximate number of values that will be taken in all parts together */
  constructor(make: new (length: number) => T, total: number) {
    this.#make = make;
    this.#missing = total;
    this.#whole = new make(0);
  }

  /** Returns the next part of a large array, filled with zeros. */
  take(length: number): T {
    if (this.#end + length > this.#whole.length) {
      const most = MAX_BYTES / this.#whole.BYTES_PER_ELEMENT;
      this.#whole = new this.#make(Math.max(length, Math.min(most, this.#missing)));
      this.#missing -= this.#whole.length;
      this.#end = 0;
    }
    const start = this.#end;
    this.#end += length;
    return this.#whole.subarray(start, this.#end);
  }
}
