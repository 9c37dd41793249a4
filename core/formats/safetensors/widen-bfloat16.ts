/**
 * Widening as vector instructions, written in WebAssembly because JavaScript has none: a loop over typed arrays takes two to
 * three times as long, and every pass over a base that is stored in bfloat16 widens all of it.
 */

/** Values that are widened at a time, so that they and their results stay in the processor's cache. */
const BLOCK = 1 << 15;

/** Values in a vector of 128 bits. */
const LANES = 8;

/** Bytes of a page of memory. */
const PAGE = 1 << 16;

/** Where results lie, behind the values. */
const WIDE = 2 * BLOCK;

/** Opcodes of WebAssembly 2.0 (binary format, sections 5.4 and 5.5). */
const OP = {
  localGet: 0x20,
  localSet: 0x21,
  constant: 0x41,
  less: 0x49,
  add: 0x6a,
  loop: 0x03,
  branchIf: 0x0d,
  end: 0x0b,
} as const;

const TYPE = { none: 0x40, i32: 0x7f, vector: 0x7b, function: 0x60 } as const;

/** Opcodes of vectors, each with the prefix 0xfd. */
const V128 = {
  load: [0xfd, 0x00],
  store: [0xfd, 0x0b],
  constant: [0xfd, 0x0c],
  and: [0xfd, 0x4e],
  or: [0xfd, 0x50],
  anyTrue: [0xfd, 0x53],
  equal16: [0xfd, 0x2d],
  lowerHalf: [0xfd, 0xa9, 0x01],
  upperHalf: [0xfd, 0xaa, 0x01],
  shiftLeft32: [0xfd, 0xab, 0x01],
} as const;

/** Locals of the function: parameters first. */
const [FROM, TO, END, VALUES, NOT_FINITE] = [0, 1, 2, 3, 4];

const get = (local: number): number[] => [OP.localGet, local];
const set = (local: number, ...value: number[]): number[] => [...value, OP.localSet, local];
const advance = (local: number, bytes: number): number[] => set(local, ...get(local), OP.constant, bytes, OP.add);
/** A bfloat16 whose exponent is all ones is infinite or not a number. */
const EXPONENTS = [...V128.constant, ...Array.from({ length: LANES }, () => [0x80, 0x7f]).flat()];

/** Stores four of the eight values as float32: a bfloat16 is the upper half of one. */
const storeHalf = (half: readonly number[], offset: number): number[] => [
  ...get(TO),
  ...[...get(VALUES), ...half, OP.constant, 16, ...V128.shiftLeft32],
  ...[...V128.store, 0, offset],
];

/** Widens the values at [from, end) to `to`, eight at a time. Returns whether one of them is not finite. */
const BODY = [
  ...[1, 2, TYPE.vector],
  ...[OP.loop, TYPE.none],
  ...set(VALUES, ...get(FROM), ...V128.load, 0, 0),
  ...storeHalf(V128.lowerHalf, 0),
  ...storeHalf(V128.upperHalf, 16),
  ...set(
    NOT_FINITE,
    ...[...get(VALUES), ...EXPONENTS, ...V128.and, ...EXPONENTS, ...V128.equal16],
    ...[...get(NOT_FINITE), ...V128.or],
  ),
  ...advance(FROM, 2 * LANES),
  ...advance(TO, 4 * LANES),
  ...[...get(FROM), ...get(END), OP.less, OP.branchIf, 0],
  OP.end,
  ...[...get(NOT_FINITE), ...V128.anyTrue],
  OP.end,
];

const unsigned = (value: number): number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >> 7)];
const sized = (bytes: readonly number[]): number[] => [...unsigned(bytes.length), ...bytes];
const section = (id: number, bytes: readonly number[]): number[] => [id, ...sized(bytes)];
const ascii = (text: string): number[] => sized([...Buffer.from(text, 'ascii')]);

/** A module with one function and the memory that it works on. */
const MODULE = Uint8Array.from([
  ...[0x00, ...Buffer.from('asm', 'ascii'), 1, 0, 0, 0],
  ...section(1, [1, TYPE.function, 3, TYPE.i32, TYPE.i32, TYPE.i32, 1, TYPE.i32]),
  ...section(3, [1, 0]),
  ...section(5, [1, 0, (6 * BLOCK) / PAGE]),
  ...section(7, [2, ...ascii('memory'), 2, 0, ...ascii('widen'), 0, 0]),
  ...section(10, [1, ...sized(BODY)]),
]);

/** What is used of it; Node's own types do not describe it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

interface Widener {
  readonly narrow: Uint16Array;
  readonly wide: Float32Array;
  /** Widens the first values of `narrow`, a multiple of eight. @returns whether all are finite */
  readonly widen: (count: number) => boolean;
}

function instantiate(): Widener {
  const { memory, widen } = new WebAssembly.Instance(new WebAssembly.Module(MODULE)).exports as {
    readonly memory: { readonly buffer: ArrayBuffer };
    readonly widen: (from: number, to: number, end: number) => number;
  };
  return {
    narrow: new Uint16Array(memory.buffer, 0, BLOCK),
    wide: new Float32Array(memory.buffer, WIDE, BLOCK),
    widen: (count) => widen(0, WIDE, 2 * count) === 0,
  };
}

let widener: Widener | undefined;

/**
 * Widens bfloat16 bit patterns into `wide`. This is exact, because a bfloat16 is the upper half of a float32.
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
