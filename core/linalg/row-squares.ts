interface Rows {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

/** Computes the squared length of each row of a matrix W [rows, columns], ‖W‖² by rows, summed in float64. */
export function rowSquares({ shape, data }: Rows): Float32Array {
  const [rows, columns] = shape as [number, number];
  return Float32Array.from({ length: rows }, (_, row) => {
    let squares = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) squares += data[i]! ** 2;
    return squares;
  });
}
