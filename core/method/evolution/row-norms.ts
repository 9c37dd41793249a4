/** ‖W_old‖², ‖W_new‖² and ‖W_new − W_old‖² of each row, [3, outFeatures]: of all of the change, not of the directions kept. */
export function stackRowSquares(before: Float32Array, after: Float32Array, delta: Float32Array): Float32Array {
  const squares = new Float32Array(3 * delta.length);
  [before, after, delta].forEach((rows, i) => squares.set(rows, i * delta.length));
  return squares;
}

/**
 * ‖W_new + beta · (W_new − W_old)‖ of each row, [outFeatures]. With D = W_new − W_old, 2 ⟨W_new, D⟩ = ‖W_new‖² − ‖W_old‖² +
 * ‖D‖², so that the square is (1 + beta) ‖W_new‖² − beta ‖W_old‖² + beta (1 + beta) ‖D‖².
 * @param squares of {@link stackRowSquares}
 */
export function rowNormsAt(squares: Float32Array, beta: number): Float64Array {
  const rows = squares.length / 3;
  return Float64Array.from({ length: rows }, (_, i) => {
    const [before, after, delta] = [squares[i]!, squares[rows + i]!, squares[2 * rows + i]!];
    return Math.sqrt(Math.max(0, (1 + beta) * after - beta * before + beta * (1 + beta) * delta));
  });
}

/** The derivative of {@link rowNormsAt} by beta: that of the square by twice the norm; 0 for a row of zeros. */
export function rowNormSlopesAt(squares: Float32Array, beta: number): Float64Array {
  const rows = squares.length / 3;
  return rowNormsAt(squares, beta).map((norm, i) => {
    const [before, after, delta] = [squares[i]!, squares[rows + i]!, squares[2 * rows + i]!];
    return norm === 0 ? 0 : (after - before + (1 + 2 * beta) * delta) / (2 * norm);
  });
}
