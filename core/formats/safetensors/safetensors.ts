import { readSync, type BigIntStats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Tensor } from '../../models/base-model.ts';
import { shorten } from '../../options/quote.ts';
import { DTYPE_BYTES, firstNonFinite, isFloatDtype, widenHalf } from './dtypes.ts';
import { FormatError } from '../errors.ts';
import {
  BASE_MODEL_HEADER,
  headerLength,
  parseHeader,
  type HeaderLimits,
  type SafetensorsHeader,
  type TensorEntry,
} from './safetensors-header.ts';
import { widenBfloat16 } from './widen-bfloat16.ts';

/**
 * Size of the pieces in which tensors are widened and scanned, so that reading a tensor needs little memory beyond the
 * result.
 */
const CHUNK_BYTES = 4 << 20;

/** Function that returns an array of the given length, with any content. */
export type Allocate = (length: number) => Float32Array;

const newArray: Allocate = (length) => new Float32Array(length);

/** Reusable buffers for reading: one for pieces of a file, and one for values widened to float32. */
interface Scratch {
  readonly chunk: Uint8Array;
  wide: Float32Array | null;
}

/** A safetensors file, open for reading tensor by tensor. The caller that opened it closes it. */
export class SafetensorsFile {
  /** Name of the file in error messages. */
  readonly file: string;
  readonly header: SafetensorsHeader;
  readonly #handle: FileHandle;
  /**
   * Buffers for the next read; null if no buffers are free. Allocating new ones for each tensor would fill memory until
   * the next garbage collection.
   */
  #spare: Scratch | null = null;

  private constructor(file: string, header: SafetensorsHeader, handle: FileHandle) {
    this.file = file;
    this.header = header;
    this.#handle = handle;
  }

  /**
   * Opens a file and checks its header against its size. No tensor is read.
   * @param name name of the file in error messages; default: its base name
   * @param limits limits of the header; default: those of a base model
   * @throws FormatError `missing_file` or `invalid_safetensors`
   */
  static async open(
    path: string,
    name: string = basename(path),
    limits: HeaderLimits = BASE_MODEL_HEADER,
  ): Promise<SafetensorsFile> {
    const handle = await openForReading(path, name);
    try {
      const { size } = await handle.stat();
      const prefix = new Uint8Array(8);
      await handle.read(prefix, 0, 8, 0);
      const json = new Uint8Array(headerLength(prefix, size, name, limits));
      await readFully(handle, json, 8, name);
      return new SafetensorsFile(name, parseHeader(json, size, name, limits), handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Names of the tensors, in the order of their bytes in the file. */
  get names(): string[] {
    return [...this.header.tensors.keys()];
  }

  /** Returns the file's status (size, times, inode) from the operating system, with times in nanoseconds. */
  stat(): Promise<BigIntStats> {
    return this.#handle.stat({ bigint: true });
  }

  /**
   * Returns the header's entry of a tensor.
   * @throws FormatError `missing_tensor`
   */
  entry(name: string): TensorEntry {
    const entry = this.header.tensors.get(name);
    if (entry) return entry;
    throw this.#error('missing_tensor', name, `tensor ${shorten(name)} is missing`);
  }

  /**
   * Reads an F32, F16 or BF16 tensor as float32. The conversion is exact.
   * @param spare an array that may be overwritten; it receives the values if it is long enough
   * @throws FormatError `missing_tensor`, `unsupported_dtype`, or `not_finite` for an infinity or NaN
   */
  async read(name: string, spare?: Float32Array): Promise<Tensor> {
    const entry = this.#floatEntry(name);
    const count = entry.bytes / DTYPE_BYTES[entry.dtype]!;
    const data = spare && spare.length >= count ? spare.subarray(0, count) : new Float32Array(count);
    const finite = entry.dtype === 'F32' ? await this.#readFloat32(entry, data) : await this.#readHalves(entry, data);
    if (!finite) throw this.#notFinite(name, data);
    return { shape: entry.shape, data };
  }

  /**
   * Reads a tensor synchronously and without checking its values; only for a tensor that was read and checked before.
   * @param allocate provides the array that receives the values; default: a new one
   * @throws Error after {@link close}
   */
  readSync(name: string, allocate: Allocate = newArray): Tensor {
    const entry = this.#floatEntry(name);
    const { fd } = this.#handle;
    if (fd < 0) throw new Error(`cannot read tensor ${name}: ${this.file} is closed`);
    const data = allocate(entry.bytes / DTYPE_BYTES[entry.dtype]!);
    if (entry.dtype === 'F32') readFullySync(fd, bytesOf(data), entry.start, this.file);
    else {
      const widen = widenerOf(entry.dtype);
      const scratch = this.#takeScratch();
      for (const { offset, piece } of piecesOf(entry, scratch)) {
        readFullySync(fd, piece, entry.start + offset, this.file);
        widen(halvesIn(piece), data.subarray(offset / 2, (offset + piece.length) / 2));
      }
      this.#spare = scratch;
    }
    return { shape: entry.shape, data };
  }

  /**
   * Reads a tensor as {@link read} does, but in consecutive pieces, with memory for one piece.
   * @param visit receives each piece, in an array that is reused for the next one
   */
  async scan(name: string, visit: (piece: Float32Array) => void): Promise<void> {
    const entry = this.#floatEntry(name);
    const width = DTYPE_BYTES[entry.dtype]!;
    const scratch = this.#takeScratch();
    const wide = width === 4 ? null : (scratch.wide ??= new Float32Array(CHUNK_BYTES / 2));
    for (const { offset, piece } of piecesOf(entry, scratch)) {
      await readFully(this.#handle, piece, entry.start + offset, this.file);
      const values = wide?.subarray(0, piece.length / 2) ?? new Float32Array(piece.buffer, 0, piece.length / 4);
      const finite = wide ? widenerOf(entry.dtype)(halvesIn(piece), values) : firstNonFinite(values) < 0;
      if (!finite) throw this.#notFinite(name, values, offset / width);
      visit(values);
    }
    this.#spare = scratch;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  /**
   * Reads a float32 tensor into `data`.
   * @returns whether all values are finite
   */
  async #readFloat32(entry: TensorEntry, data: Float32Array): Promise<boolean> {
    await readFully(this.#handle, bytesOf(data), entry.start, this.file);
    return firstNonFinite(data) < 0;
  }

  /**
   * Reads a float16 or bfloat16 tensor into `data`, widened to float32.
   * @returns whether all values are finite
   */
  async #readHalves(entry: TensorEntry, data: Float32Array): Promise<boolean> {
    const widen = widenerOf(entry.dtype);
    let finite = true;
    const scratch = this.#takeScratch();
    for (const { offset, piece } of piecesOf(entry, scratch)) {
      await readFully(this.#handle, piece, entry.start + offset, this.file);
      finite = widen(halvesIn(piece), data.subarray(offset / 2, (offset + piece.length) / 2)) && finite;
    }
    this.#spare = scratch;
    return finite;
  }

  /** Returns the reusable buffers, or new ones while another read is using them. */
  #takeScratch(): Scratch {
    const scratch = this.#spare ?? { chunk: new Uint8Array(CHUNK_BYTES), wide: null };
    this.#spare = null;
    return scratch;
  }

  #floatEntry(name: string): TensorEntry {
    const entry = this.entry(name);
    if (isFloatDtype(entry.dtype)) return entry;
    throw this.#error(
      'unsupported_dtype',
      name,
      `tensor ${shorten(name)} is ${entry.dtype}, supported: F32, F16, BF16`,
    );
  }

  /**
   * Makes the error for an infinity or NaN in a tensor.
   * @param first flat index, in the tensor, of the first value of `data`
   */
  #notFinite(name: string, data: Float32Array, first = 0): FormatError {
    const at = firstNonFinite(data);
    const message = `tensor ${shorten(name)} holds a value that is not finite: ${data[at]} at flat index ${first + at}`;
    return this.#error('not_finite', name, message);
  }

  #error(code: string, subject: string, message: string): FormatError {
    return new FormatError({ code, file: this.file, subject, message });
  }
}

/** Opens a file, passes it to `use`, and closes it whether `use` succeeds or fails. */
export async function withSafetensors<T>(
  path: string,
  use: (file: SafetensorsFile) => Promise<T>,
  name?: string,
  limits?: HeaderLimits,
): Promise<T> {
  const file = await SafetensorsFile.open(path, name, limits);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

async function openForReading(path: string, name: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new FormatError({ code: 'missing_file', file: name, message: 'file is missing', cause });
  }
}

/** Yields a tensor's bytes in consecutive pieces, which share one buffer. */
function* piecesOf(
  { bytes }: TensorEntry,
  { chunk }: Scratch,
): Generator<{ readonly offset: number; readonly piece: Uint8Array }> {
  for (let offset = 0; offset < bytes; offset += chunk.length) {
    yield { offset, piece: chunk.subarray(0, Math.min(chunk.length, bytes - offset)) };
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function halvesIn(piece: Uint8Array): Uint16Array {
  return new Uint16Array(piece.buffer, piece.byteOffset, piece.length / 2);
}

function widenerOf(dtype: string): typeof widenHalf {
  return dtype === 'BF16' ? widenBfloat16 : widenHalf;
}

/** Largest number of bytes to read in one call. The length of a call must fit into a signed 32-bit integer. */
const MAX_READ_BYTES = 1 << 30;

/** Fills `into` with the bytes from `position` on. */
async function readFully(handle: FileHandle, into: Uint8Array, position: number, name: string): Promise<void> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await handle.read(into, done, Math.min(into.length - done, MAX_READ_BYTES), position + done);
    if (bytesRead === 0) throw cutOff(name, position + done, into.length - done);
    done += bytesRead;
  }
}

function readFullySync(fd: number, into: Uint8Array, position: number, name: string): void {
  for (let done = 0; done < into.length;) {
    const bytesRead = readSync(fd, into, done, Math.min(into.length - done, MAX_READ_BYTES), position + done);
    if (bytesRead === 0) throw cutOff(name, position + done, into.length - done);
    done += bytesRead;
  }
}

function cutOff(file: string, position: number, missing: number): FormatError {
  const message = `file ends at byte ${position}, expected ${missing} more: it was cut while open`;
  return new FormatError({ code: 'invalid_safetensors', file, message });
}
