import type { Matrix } from '../matrix.ts';

/** Initial length of the arrays of rotations, which grow when they are full. A matrix of 40 rows needs about 3,000. */
const FIRST_LENGTH = 1 << 12;

/**
 * A sequence of plane rotations G₁, G₂, … of rows. It is kept in place of its product, because applying it to a few
 * vectors takes less work than forming the product.
 */
export class Rotations {
  /** Two row indices of each rotation, in memory that doubles when it is full. */
  #rows = new Int32Array(FIRST_LENGTH);
  /** Cosine and sine of each rotation, in memory that doubles when it is full. */
  #angles = new Float64Array(FIRST_LENGTH);
  /** Number of entries in use, equal in both arrays. */
  #length = 0;

  /** Removes all rotations, but keeps the memory for later ones. */
  clear(): void {
    this.#length = 0;
  }

  /** Appends the rotation that replaces rows x and y by cosine · x + sine · y and cosine · y − sine · x. */
  push(x: number, y: number, cosine: number, sine: number): void {
    const at = this.#length;
    if (at === this.#rows.length) this.#grow();
    this.#rows[at] = x;
    this.#rows[at + 1] = y;
    this.#angles[at] = cosine;
    this.#angles[at + 1] = sine;
    this.#length = at + 2;
  }

  /** Replaces w by G₁ᵀ G₂ᵀ … w, which undoes the rotations from the last to the first. */
  applyTransposed({ cols, data }: Matrix): void {
    const [rows, angles] = [this.#rows, this.#angles];
    for (let at = this.#length - 2; at >= 0; at -= 2) {
      rotate(data, rows[at]! * cols, rows[at + 1]! * cols, cols, angles[at]!, angles[at + 1]!);
    }
  }

  #grow(): void {
    const [rows, angles] = [this.#rows, this.#angles];
    this.#rows = new Int32Array(2 * rows.length);
    this.#rows.set(rows);
    this.#angles = new Float64Array(2 * angles.length);
    this.#angles.set(angles);
  }
}

function rotate(data: Float64Array, x: number, y: number, length: number, cosine: number, sine: number): void {
  for (const end = x + length; x < end; x++, y++) {
    const p = data[x]!;
    const q = data[y]!;
    data[x] = cosine * p - sine * q;
    data[y] = sine * p + cosine * q;
  }
}
