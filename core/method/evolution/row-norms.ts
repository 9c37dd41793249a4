/**
 * Stacks the squared norms of the rows of W_old, W_new and W_new − W_old into one array, [3, outFeatures]. They
 * describe the whole change, not only the directions that an evolution keeps.
 */
export function stackRowSquares(before: Float32Array, after: Float32Array, delta: Float32Array): Float32Array {
  const squares = new Float32Array(3 * delta.length);
  [before, after, delta].forEach((rows, i) => squares.set(rows, i * delta.length));
  return squares;
}

/**
 * ‖W_new + beta · (W_new − W_old)‖ of each row, [outFeatures]. With D = W_new − W_old, 2 ⟨W_new, D⟩ = ‖W_new‖² −
 * ‖W_old‖² + ‖D‖², so the squared norm is (1 + beta) ‖W_new‖² − beta ‖W_old‖² + beta (1 + beta) ‖D‖².
 * @param squares made by {@link stackRowSquares}
 */
export function rowNormsAt(squares: Float32Array, beta: number): Float64Array {
  const rows = squares.length / 3;
  return Float64Array.from({ length: rows }, (_, i) => {
    const [before, after, delta] = [squares[i]!, squares[rows + i]!, squares[2 * rows + i]!];
    return Math.sqrt(Math.max(0, (1 + beta) * after - beta * before + beta * (1 + beta) * delta));
  });
}
