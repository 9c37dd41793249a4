/** A dense float64 matrix, row-major. Functions of this folder do not write to their arguments unless they say so. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  /** [rows · cols] entries, row by row */
  readonly data: Float64Array;
}

/** A dense matrix in float32 or float64, row-major. Large matrices and products of them may be in float32. */
export interface DenseMatrix {
  readonly rows: number;
  readonly cols: number;
  /** [rows · cols] entries, row by row */
  readonly data: Float32Array | Float64Array;
}

/** Converts to float64; returns the matrix itself if it is in float64 already. */
export function toFloat64({ rows, cols, data }: DenseMatrix): Matrix {
  return { rows, cols, data: data instanceof Float64Array ? data : Float64Array.from(data) };
}

export function zeros(rows: number, cols: number): Matrix {
  return { rows, cols, data: new Float64Array(rows * cols) };
}

export function identity(size: number): Matrix {
  const out = zeros(size, size);
  for (let i = 0; i < size; i++) out.data[i * size + i] = 1;
  return out;
}

/** Makes a matrix of the given numbers, row by row. The numbers are copied. */
export function matrix(rows: number, cols: number, values: ArrayLike<number>): Matrix {
  if (values.length !== rows * cols) {
    throw new RangeError(`a matrix of ${rows} × ${cols} got ${values.length} values, expected ${rows * cols}`);
  }
  return { rows, cols, data: Float64Array.from(values) };
}

export function transpose(a: Matrix): Matrix {
  const out = zeros(a.cols, a.rows);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < a.cols; j++) out.data[j * a.rows + i] = a.data[i * a.cols + j]!;
  }
  return out;
}

/** Returns row i of a matrix as a view of its data. */
export function rowOf(a: Matrix, i: number): Float64Array {
  return a.data.subarray(i * a.cols, (i + 1) * a.cols);
}

/** Copies the columns from `start` up to `end` (exclusive). */
export function columns(a: Matrix, start: number, end: number): Matrix {
  const out = zeros(a.rows, end - start);
  for (let i = 0; i < a.rows; i++) out.data.set(rowOf(a, i).subarray(start, end), i * out.cols);
  return out;
}

/** Joins two matrices side by side, [a b]. */
export function concatColumns(a: Matrix, b: Matrix): Matrix {
  requireEqual('concatColumns', 'rows', a.rows, b.rows);
  const out = zeros(a.rows, a.cols + b.cols);
  for (let i = 0; i < a.rows; i++) {
    out.data.set(rowOf(a, i), i * out.cols);
    out.data.set(rowOf(b, i), i * out.cols + a.cols);
  }
  return out;
}

/** Multiplies a matrix by a number, factor · a. */
export function scaleAll(a: Matrix, factor: number): Matrix {
  const data = new Float64Array(a.data.length);
  for (let i = 0; i < data.length; i++) data[i] = factor * a.data[i]!;
  return { ...a, data };
}

/** Adds two matrices, a + b. */
export function addAll(a: Matrix, b: Matrix): Matrix {
  requireEqual('addAll', 'rows', a.rows, b.rows);
  requireEqual('addAll', 'columns', a.cols, b.cols);
  const data = new Float64Array(a.data.length);
  for (let i = 0; i < data.length; i++) data[i] = a.data[i]! + b.data[i]!;
  return { ...a, data };
}

/** Multiplies column j of a matrix by factors[j] for every j, a · diag(factors). */
export function scaleColumns(a: Matrix, factors: ArrayLike<number>): Matrix {
  requireEqual('scaleColumns', 'columns', a.cols, factors.length);
  const out = zeros(a.rows, a.cols);
  for (let i = 0; i < a.rows; i++) {
    for (let j = 0; j < a.cols; j++) out.data[i * a.cols + j] = a.data[i * a.cols + j]! * factors[j]!;
  }
  return out;
}

/**
 * Checks that two sizes are equal.
 * @throws RangeError naming the routine if they differ
 */
export function requireEqual(routine: string, what: string, left: number, right: number): void {
  if (left !== right) throw new RangeError(`${routine}: ${what} differ, ${left} and ${right}`);
}
