/**
 * Loops with vector instructions, written in WebAssembly because JavaScript has none. A kernel is one function with
 * memory of its own; its instructions are written as numbers, with the opcodes of WebAssembly 2.0 (binary format,
 * sections 5.4 and 5.5).
 */

/** Size of a 128-bit vector in bytes. */
export const VECTOR_BYTES = 16;

/** Size of a page of WebAssembly memory in bytes. */
const PAGE = 1 << 16;

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

/** Opcodes of vector instructions, with their prefix 0xfd. */
export const V128 = {
  constant: [0xfd, 0x0c],
  and: [0xfd, 0x4e],
  or: [0xfd, 0x50],
  anyTrue: [0xfd, 0x53],
  equal16: [0xfd, 0x2d],
  lowerHalf16: [0xfd, 0xa9, 0x01],
  upperHalf16: [0xfd, 0xaa, 0x01],
  shiftLeft32: [0xfd, 0xab, 0x01],
  subtractFloats: [0xfd, 0xe5, 0x01],
  /** Opcode that converts the first two float32 numbers of a vector to float64. */
  promoteFloats: [0xfd, 0x5f],
  addDoubles: [0xfd, 0xf0, 0x01],
  subtractDoubles: [0xfd, 0xf1, 0x01],
  multiplyDoubles: [0xfd, 0xf2, 0x01],
} as const;

type Code = readonly number[];

export const get = (local: number): Code => [OP.localGet, local];
export const set = (local: number, ...value: Code): Code => [...value, OP.localSet, local];
/** Instructions that push an i32 constant, which must not be negative, onto the stack. */
export const constant = (value: number): Code => [OP.constant, ...signed(value)];
export const advance = (local: number, ...bytes: Code): Code => set(local, ...get(local), ...bytes, OP.add);
/**
 * Instructions that repeat a body, at least once, until the address in the local variable `local` reaches the one in
 * `end`.
 */
export const untilReached = (local: number, end: number, ...body: Code): Code => [
  ...[OP.loop, TYPE.none, ...body],
  ...[...get(local), ...get(end), OP.less, OP.branchIf, 0, OP.end],
];
/** Instructions that load a vector from the address in a local variable plus an offset. */
export const load = (local: number, offset = 0): Code => [...get(local), 0xfd, 0x00, 0, offset];
export const loadHalf = (local: number, offset: number): Code => [...get(local), 0xfd, 0x5d, 0, offset];
export const store = (local: number, offset: number, ...value: Code): Code => [
  ...[...get(local), ...value],
  ...[0xfd, 0x0b, 0, offset],
];

export interface KernelCode {
  /** Number of the kernel's parameters. All are i32, and they are its first local variables. */
  readonly parameters: number;
  /** Number of i32 local variables after the parameters. Default 0. */
  readonly integers?: number;
  /** Number of vector local variables, which come after all others. */
  readonly vectors: number;
  /** Instructions of the kernel, which leave its result, an i32, on the stack. */
  readonly body: Code;
  /** Size of the kernel's memory in bytes. */
  readonly memory: number;
}

export interface Kernel {
  readonly memory: ArrayBuffer;
  readonly run: (...parameters: readonly number[]) => number;
}

/** Types of the part of the WebAssembly API that is used here, because Node's own types do not describe it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

export function compileKernel({ parameters, integers = 0, vectors, body, memory }: KernelCode): Kernel {
  const locals = [2, integers, TYPE.i32, vectors, TYPE.vector];
  const bytes = Uint8Array.from([
    ...[0x00, ...Buffer.from('asm', 'ascii'), 1, 0, 0, 0],
    ...section(1, [1, TYPE.function, parameters, ...new Array<number>(parameters).fill(TYPE.i32), 1, TYPE.i32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, ...unsigned(Math.ceil(memory / PAGE))]),
    ...section(7, [2, ...ascii('memory'), 2, 0, ...ascii('run'), 0, 0]),
    ...section(10, [1, ...sized([...locals, ...body, OP.end])]),
  ]);
  const exports = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as {
    readonly memory: { readonly buffer: ArrayBuffer };
    readonly run: Kernel['run'];
  };
  return { memory: exports.memory.buffer, run: exports.run };
}

function section(id: number, bytes: Code): Code {
  return [id, ...sized(bytes)];
}

function sized(bytes: Code): Code {
  return [...unsigned(bytes.length), ...bytes];
}

function ascii(text: string): Code {
  return sized([...Buffer.from(text, 'ascii')]);
}

/** Encodes an integer as LEB128, seven bits a byte. */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >> 7)];
}

/** Encodes a non-negative integer as signed LEB128: the seventh bit of the last byte is the sign. */
function signed(value: number): Code {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}
