import {
  advance,
  compileKernel,
  constant,
  get,
  load,
  loadHalf,
  set,
  store,
  untilReached,
  V128,
  VECTOR_BYTES,
} from '../../formats/web-assembly.ts';

/**
 * Number of values of each version that the kernel subtracts in one call. Blocks of that size stay in the processor's
 * cache.
 */
const BLOCK = 1 << 13;

/** Number of float32 values in a vector. */
const LANES = VECTOR_BYTES / Float32Array.BYTES_PER_ELEMENT;

/** Byte offsets of the kernel's arrays in its memory. */
const BEFORE_AT = 0;
const AFTER_AT = BLOCK * Float32Array.BYTES_PER_ELEMENT;
const DELTA_AT = 2 * AFTER_AT;
const SUMS_AT = 3 * AFTER_AT;

/**
 * Bytes of the sums of squares of a row: three sums (of before, after and delta), each kept as two partial sums in
 * float64.
 */
const SUMS_BYTES = 3 * VECTOR_BYTES;

/** Indices of the kernel's local variables: the parameters first, then an integer, then vectors. */
const [BEFORE, AFTER, DELTA, SUMS, END, ROW_BYTES] = [0, 1, 2, 3, 4, 5];
const ROW_END = 6;
const [OLD_SUM, NEW_SUM, DELTA_SUM, OLD_LOW, OLD_HIGH, NEW_LOW, NEW_HIGH] = [7, 8, 9, 10, 11, 12, 13];

const ZERO = [...V128.constant, ...new Array<number>(VECTOR_BYTES).fill(0)];

/** Returns instructions that load half a vector of float32 values as a vector of float64 values. */
const doubles = (local: number, offset: number) => [...loadHalf(local, offset), ...V128.promoteFloats];

/** Returns instructions that add the squares of two vectors to a sum. */
const addSquares = (sum: number, low: number, high: number) => {
  const squares = [low, high].map((local) => [...get(local), ...get(local), ...V128.multiplyDoubles]);
  return set(sum, ...get(sum), ...squares.flat(), ...V128.addDoubles, ...V128.addDoubles);
};

/** Returns instructions that replace the old values by new − old in float64, without rounding to float32. */
const subtract = (old: number, value: number) => set(old, ...get(value), ...get(old), ...V128.subtractDoubles);

/**
 * Instructions of the kernel: it subtracts the rows of `before`, up to the address in END, from those of `after`, four
 * values at a time, and sums squares row by row.
 */
const BODY = [
  ...untilReached(
    BEFORE,
    END,
    ...[OLD_SUM, NEW_SUM, DELTA_SUM].flatMap((sum) => set(sum, ...ZERO)),
    ...set(ROW_END, ...get(BEFORE)),
    ...advance(ROW_END, ...get(ROW_BYTES)),
    ...untilReached(
      BEFORE,
      ROW_END,
      ...store(DELTA, 0, ...load(AFTER), ...load(BEFORE), ...V128.subtractFloats),
      ...[...set(OLD_LOW, ...doubles(BEFORE, 0)), ...set(OLD_HIGH, ...doubles(BEFORE, VECTOR_BYTES / 2))],
      ...[...set(NEW_LOW, ...doubles(AFTER, 0)), ...set(NEW_HIGH, ...doubles(AFTER, VECTOR_BYTES / 2))],
      ...addSquares(OLD_SUM, OLD_LOW, OLD_HIGH),
      ...addSquares(NEW_SUM, NEW_LOW, NEW_HIGH),
      ...[...subtract(OLD_LOW, NEW_LOW), ...subtract(OLD_HIGH, NEW_HIGH)],
      ...addSquares(DELTA_SUM, OLD_LOW, OLD_HIGH),
      ...[BEFORE, AFTER, DELTA].flatMap((local) => advance(local, ...constant(VECTOR_BYTES))),
    ),
    ...[OLD_SUM, NEW_SUM, DELTA_SUM].flatMap((sum, index) => store(SUMS, index * VECTOR_BYTES, ...get(sum))),
    ...advance(SUMS, ...constant(SUMS_BYTES)),
  ),
  ...constant(0),
];

interface Subtraction {
  readonly before: Float32Array;
  readonly after: Float32Array;
  readonly delta: Float32Array;
  /** Sums of squares of each row of before, after and delta, each as two partial sums that are still to be added. */
  readonly sums: Float64Array;
  /**
   * Subtracts the first `rows` rows of `before` from those of `after`. The length of a row has to be a multiple of
   * four.
   */
  readonly subtract: (rows: number, length: number) => void;
}

function instantiate(): Subtraction {
  // Largest number of rows in a block: each has one vector.
  const most = BLOCK / LANES;
  const memory = SUMS_AT + most * SUMS_BYTES;
  const kernel = compileKernel({ parameters: 6, integers: 1, vectors: 7, body: BODY, memory });
  return {
    before: new Float32Array(kernel.memory, BEFORE_AT, BLOCK),
    after: new Float32Array(kernel.memory, AFTER_AT, BLOCK),
    delta: new Float32Array(kernel.memory, DELTA_AT, BLOCK),
    sums: new Float64Array(kernel.memory, SUMS_AT, (most * SUMS_BYTES) / Float64Array.BYTES_PER_ELEMENT),
    subtract: (rows, length) => void kernel.run(BEFORE_AT, AFTER_AT, DELTA_AT, SUMS_AT, 4 * rows * length, 4 * length),
  };
}

let subtraction: Subtraction | undefined;

/**
 * Writes after − before to `delta`, rounded to float32, and the sums of squares of the rows of before, after and delta
 * to `squares`, in float64. Differences are squared before they are rounded. A loop in JavaScript takes three times as
 * long.
 * @param before [rows, cols]
 * @param after [rows, cols]
 * @param delta [rows, cols], or null if only the sums are needed
 * @param squares [3, rows]
 */
export function subtractRows(
  before: Float32Array,
  after: Float32Array,
  delta: Float32Array | null,
  squares: Float64Array,
): void {
  const rows = squares.length / 3;
  const cols = before.length / rows;
  const block = (subtraction ??= instantiate());
  // Short rows that need no padding are subtracted many at a time; a long row takes several blocks.
  const most = cols % LANES === 0 && cols <= BLOCK ? Math.floor(BLOCK / cols) : 1;
  squares.fill(0);
  for (let row = 0; row < rows; row += most) {
    const count = Math.min(most, rows - row);
    for (let start = 0; start < cols; start += BLOCK) {
      const length = Math.min(BLOCK, cols - start);
      const from = row * cols + start;
      const to = from + count * length;
      const padded = Math.ceil(length / LANES) * LANES;
      block.before.set(before.subarray(from, to));
      block.after.set(after.subarray(from, to));
      if (padded > length) [block.before, block.after].forEach((values) => values.fill(0, length, padded));
      block.subtract(count, padded);
      delta?.set(block.delta.subarray(0, to - from), from);
      for (let i = 0; i < count; i++) {
        for (let version = 0; version < 3; version++) {
          const at = 2 * (3 * i + version);
          squares[version * rows + row + i]! += block.sums[at]! + block.sums[at + 1]!;
        }
      }
    }
  }
}
