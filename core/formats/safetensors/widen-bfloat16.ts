import {
  advance,
  compileKernel,
  constant,
  get,
  load,
  set,
  store,
  untilReached,
  V128,
  VECTOR_BYTES,
} from '../web-assembly.ts';

/**
 * Number of values that are widened in one run of the kernel, so that they and their results stay in the processor's
 * cache.
 */
const BLOCK = 1 << 15;

/** Number of bfloat16 values in a vector register. */
const LANES = VECTOR_BYTES / Uint16Array.BYTES_PER_ELEMENT;

/** Address of the widened values in the kernel's memory; the source values lie before them. */
const WIDE = BLOCK * Uint16Array.BYTES_PER_ELEMENT;

/** Indices of the kernel's local variables, parameters first. */
const [FROM, TO, END, VALUES, NOT_FINITE] = [0, 1, 2, 3, 4];

/** Vector constant of eight bfloat16 exponent masks. An exponent of all ones means infinity or NaN. */
const EXPONENTS = [...V128.constant, ...Array.from({ length: LANES }, () => [0x80, 0x7f]).flat()];

/** Instructions that widen one half of eight bfloat16 values to float32. A bfloat16 is the upper half of a float32. */
const widened = (half: readonly number[]) => [...get(VALUES), ...half, ...constant(16), ...V128.shiftLeft32];

/**
 * Instructions that widen the values at [from, end) to `to`, eight at a time, and return whether one of them is not
 * finite.
 */
const BODY = [
  ...untilReached(
    FROM,
    END,
    ...set(VALUES, ...load(FROM)),
    ...store(TO, 0, ...widened(V128.lowerHalf16)),
    ...store(TO, VECTOR_BYTES, ...widened(V128.upperHalf16)),
    ...set(
      NOT_FINITE,
      ...[...get(VALUES), ...EXPONENTS, ...V128.and, ...EXPONENTS, ...V128.equal16],
      ...[...get(NOT_FINITE), ...V128.or],
    ),
    ...advance(FROM, ...constant(VECTOR_BYTES)),
    ...advance(TO, ...constant(2 * VECTOR_BYTES)),
  ),
  ...[...get(NOT_FINITE), ...V128.anyTrue],
];

interface Widener {
  readonly narrow: Uint16Array;
  readonly wide: Float32Array;
  /**
   * Widens the first `count` values of `narrow` into `wide`; `count` must be a multiple of eight.
   * @returns whether all are finite
   */
  readonly widen: (count: number) => boolean;
}

function instantiate(): Widener {
  const { memory, run } = compileKernel({ parameters: 3, vectors: 2, body: BODY, memory: 3 * WIDE });
  return {
    narrow: new Uint16Array(memory, 0, BLOCK),
    wide: new Float32Array(memory, WIDE, BLOCK),
    widen: (count) => run(0, WIDE, 2 * count) === 0,
  };
}

let widener: Widener | undefined;

/**
 * Widens bfloat16 bit patterns into `wide`. The conversion is exact, because a bfloat16 is the upper half of a float32.
 * It runs in WebAssembly, because a JavaScript loop takes two to three times as long, and every pass over a base stored
 * in bfloat16 widens the whole base.
 * @returns whether all values are finite
 */
export function widenBfloat16(source: Uint16Array, wide: Float32Array): boolean {
  const block = (widener ??= instantiate());
  let finite = true;
  for (let at = 0; at < source.length; at += BLOCK) {
    const piece = source.subarray(at, at + BLOCK);
    const padded = Math.ceil(piece.length / LANES) * LANES;
    block.narrow.set(piece);
    block.narrow.fill(0, piece.length, padded);
    finite = block.widen(padded) && finite;
    wide.set(block.wide.subarray(0, piece.length), at);
  }
  return finite;
}
