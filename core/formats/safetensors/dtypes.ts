import { endianness } from 'node:os';

/** Number formats in which weights may be stored in files. In memory, weights are always float32. */
export type FloatDtype = 'F32' | 'F16' | 'BF16';

/** Size of one element in bytes, for every dtype that safetensors defines. */
export const DTYPE_BYTES: Readonly<Record<string, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
};

// Files are little-endian and are read directly into typed arrays, so the host must be little-endian too.
if (endianness() !== 'LE')
  throw new Error('the processor is big-endian, expected a little-endian one (x86-64 or arm64)');

export function isFloatDtype(dtype: string): dtype is FloatDtype {
  return dtype === 'F32' || dtype === 'F16' || dtype === 'BF16';
}

/**
 * Widens IEEE half-precision bit patterns into `wide`. The conversion is exact, also for subnormals, infinities and
 * NaN.
 * @returns whether all values are finite
 */
export function widenHalf(source: Uint16Array, wide: Float32Array): boolean {
  const table = (halfTable ??= buildHalfTable());
  const bits = new Uint32Array(wide.buffer, wide.byteOffset, wide.length);
  let carries = 0;
  for (let i = 0; i < source.length; i++) {
    const half = source[i]!;
    bits[i] = table[half]!;
    carries |= (half & 0x7c00) + 0x400;
  }
  return (carries & 0x8000) === 0;
}

/** Rounds float32 values to bfloat16 bit patterns, to nearest with ties to even. NaN stays NaN. */
export function narrowToBfloat16(source: Float32Array): Uint16Array {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  const narrow = new Uint16Array(source.length);
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    const isNan = (word & 0x7fffffff) > 0x7f800000;
    narrow[i] = isNan ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return narrow;
}

/**
 * Rounds float32 values to half-precision bit patterns, to nearest with ties to even. Values that are too large become
 * infinity.
 */
export function narrowToHalf(source: Float32Array): Uint16Array {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  const narrow = new Uint16Array(source.length);
  for (let i = 0; i < bits.length; i++) narrow[i] = halfBits(bits[i]!);
  return narrow;
}

function halfBits(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    // Normal: re-bias the exponent (127 → 15). The rounding carry may run into the exponent, up to infinity.
    const rebiased = magnitude - 0x38000000;
    return sign | ((rebiased + 0xfff + ((rebiased >>> 13) & 1)) >>> 13);
  }
  // Subnormal halves are multiples of 2^-24: the mantissa with its hidden bit, shifted right by the missing exponent.
  const shift = 126 - (magnitude >>> 23);
  if (shift > 24) return sign;
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const kept = mantissa >>> shift;
  const remainder = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const up = remainder > half || (remainder === half && (kept & 1) === 1);
  return sign | (kept + (up ? 1 : 0));
}

/** Float32 bit patterns of all 65,536 halves. A lookup is faster than a computation. */
let halfTable: Uint32Array | undefined;

function buildHalfTable(): Uint32Array {
  const values = new Float32Array(65536);
  const table = new Uint32Array(values.buffer);
  for (let half = 0; half < 65536; half++) {
    const exponent = (half >>> 10) & 0x1f;
    const mantissa = half & 0x3ff;
    const sign = (half & 0x8000) << 16;
    if (exponent === 0x1f) table[half] = sign | 0x7f800000 | (mantissa << 13);
    else if (exponent > 0) table[half] = sign | ((exponent + 112) << 23) | (mantissa << 13);
    else {
      values[half] = mantissa * 2 ** -24;
      table[half] = table[half]! | sign;
    }
  }
  return table;
}

/** Index of the first infinity or NaN, or −1 if every value is finite. */
export function firstNonFinite(values: Float32Array): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) if ((bits[i]! & 0x7f800000) === 0x7f800000) return i;
  return -1;
}
