/**
 * ‖W_new + beta · (W_new − W_old)‖ of each row, [outFeatures]. With D = W_new − W_old, 2 ⟨W_new, D⟩ = ‖W_new‖² −
 * ‖W_old‖² + ‖D‖², so the squared norm is (1 + beta) ‖W_new‖² − beta ‖W_old‖² + beta (1 + beta) ‖D‖².
 * @param squares squared norms of the rows of W_old, W_new and W_new − W_old, [3, outFeatures]
 */
export function rowNormsAt(squares: Float32Array, beta: number): Float64Array {
  const rows = squares.length / 3;
  return Float64Array.from({ length: rows }, (_, i) => {
    const [before, after, delta] = [squares[i]!, squares[rows + i]!, squares[2 * rows + i]!];
    return Math.sqrt(Math.max(0, (1 + beta) * after - beta * before + beta * (1 + beta) * delta));
  });
}
