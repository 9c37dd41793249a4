import type { Matrix } from '../matrix.ts';

/**
 * A sequence of plane rotations G₁, G₂, … of rows. It is kept instead of its product, because applying it to few vectors
 * takes less work than forming it.
 */
export class Rotations {
  readonly #rows: number[] = [];
  readonly #angles: number[] = [];

  /** Appends the rotation that replaces rows x and y by cosine · x + sine · y and cosine · y − sine · x. */
  push(x: number, y: number, cosine: number, sine: number): void {
    this.#rows.push(x, y);
    this.#angles.push(cosine, sine);
  }

  /** Replaces w by G₁ᵀ G₂ᵀ … w. */
  applyTransposed({ cols, data }: Matrix): void {
    const [rows, angles] = [this.#rows, this.#angles];
    for (let at = rows.length - 2; at >= 0; at -= 2) {
      rotate(data, rows[at]! * cols, rows[at + 1]! * cols, cols, angles[at]!, angles[at + 1]!);
    }
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
