import { readSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Tensor } from '../../models/base-model.ts';
import { firstNonFinite, isFloatDtype, widenBfloat16, widenHalf } from './dtypes.ts';
import { FormatError } from '../errors.ts';
import { headerLength, parseHeader, type SafetensorsHeader, type TensorEntry } from './safetensors-header.ts';

export { writeSafetensors, type TensorToWrite, type WriteSafetensorsOptions } from './safetensors-writer.ts';
export type { TensorEntry } from './safetensors-header.ts';

/** Half-precision tensors are widened piece by piece, so that reading one needs little memory beyond the result. */
const CHUNK_BYTES = 4 << 20;

export interface ReadTensorOptions {
  /** Refuse infinities and NaN. Default true. */
  readonly finite?: boolean;
}

/** A safetensors file, open for reading tensor by tensor. The opener closes it. */
export class SafetensorsFile {
  readonly file: string;
  readonly header: SafetensorsHeader;
  readonly #handle: FileHandle;

  private constructor(file: string, header: SafetensorsHeader, handle: FileHandle) {
    this.file = file;
    this.header = header;
    this.#handle = handle;
  }

  /**
   * Opens a file and checks its header against its size; no tensor is read.
   * @param name how errors name the file; default its base name
   * @throws FormatError `missing_file` or `invalid_safetensors`
   */
  static async open(path: string, name: string = basename(path)): Promise<SafetensorsFile> {
    const handle = await openForReading(path, name);
    try {
      const { size } = await handle.stat();
      const prefix = new Uint8Array(8);
      await handle.read(prefix, 0, 8, 0);
      const json = new Uint8Array(headerLength(prefix, size, name));
      await readFully(handle, json, 8, name);
      return new SafetensorsFile(name, parseHeader(json, size, name), handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Names of the tensors in the order of their bytes. */
  get names(): string[] {
    return [...this.header.tensors.keys()];
  }

  /** @throws FormatError `missing_tensor` */
  entry(name: string): TensorEntry {
    const entry = this.header.tensors.get(name);
    if (entry) return entry;
    throw this.#error('missing_tensor', name, `tensor ${name} is missing`);
  }

  /**
   * Reads an F32, F16 or BF16 tensor as float32 (exact).
   * @throws FormatError `missing_tensor`, `unsupported_dtype` or `not_finite`
   */
  async read(name: string, options: ReadTensorOptions = {}): Promise<Tensor> {
    const entry = this.#floatEntry(name);
    const data = entry.dtype === 'F32' ? await this.#readFloat32(entry) : await this.#readHalves(entry);
    if (options.finite ?? true) this.#checkFinite(name, data);
    return { shape: entry.shape, data };
  }

  /**
   * {@link read} for callers that cannot wait, of a tensor that was read and checked before.
   * @throws Error after {@link close}
   */
  readSync(name: string): Tensor {
    const entry = this.#floatEntry(name);
    if (this.#handle.fd < 0) throw new Error(`tensor ${name} is to be read from ${this.file}, and the file is closed`);
    const bytes = new Uint8Array(entry.bytes);
    readFullySync(this.#handle.fd, bytes, entry.start, this.file);
    const data = entry.dtype === 'F32' ? new Float32Array(bytes.buffer) : new Float32Array(entry.bytes / 2);
    if (entry.dtype !== 'F32') widenerOf(entry.dtype)(new Uint16Array(bytes.buffer), data);
    return { shape: entry.shape, data };
  }

  /**
   * Reads an I32 or I64 tensor of numbers that fit in 32 bits.
   * @throws FormatError `missing_tensor`, `unsupported_dtype` or `out_of_range`
   */
  async readIntegers(name: string): Promise<{ shape: readonly number[]; data: Int32Array }> {
    const entry = this.entry(name);
    const bytes = new Uint8Array(entry.bytes);
    await readFully(this.#handle, bytes, entry.start, this.file);
    if (entry.dtype === 'I32') return { shape: entry.shape, data: new Int32Array(bytes.buffer) };
    if (entry.dtype !== 'I64') {
      throw this.#error('unsupported_dtype', name, `tensor ${name} is ${entry.dtype}, expected I32 or I64`);
    }
    const wide = new BigInt64Array(bytes.buffer);
    const data = Int32Array.from(wide, Number);
    const lost = data.findIndex((value, i) => BigInt(value) !== wide[i]);
    if (lost < 0) return { shape: entry.shape, data };
    throw this.#error('out_of_range', name, `tensor ${name} holds ${wide[lost]}, expected a 32-bit integer`);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #readFloat32(entry: TensorEntry): Promise<Float32Array> {
    const data = new Float32Array(entry.bytes / 4);
    await readFully(this.#handle, new Uint8Array(data.buffer), entry.start, this.file);
    return data;
  }

  async #readHalves(entry: TensorEntry): Promise<Float32Array> {
    const widen = widenerOf(entry.dtype);
    const data = new Float32Array(entry.bytes / 2);
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, entry.bytes));
    for (let offset = 0; offset < entry.bytes; offset += chunk.length) {
      const piece = chunk.subarray(0, Math.min(chunk.length, entry.bytes - offset));
      await readFully(this.#handle, piece, entry.start + offset, this.file);
      widen(new Uint16Array(piece.buffer, 0, piece.length / 2), data.subarray(offset / 2, (offset + piece.length) / 2));
    }
    return data;
  }

  #floatEntry(name: string): TensorEntry {
    const entry = this.entry(name);
    if (isFloatDtype(entry.dtype)) return entry;
    throw this.#error('unsupported_dtype', name, `tensor ${name} is ${entry.dtype}, supported: F32, F16, BF16`);
  }

  #checkFinite(name: string, data: Float32Array): void {
    const at = firstNonFinite(data);
    if (at < 0) return;
    const message = `tensor ${name} holds a value that is not finite: ${data[at]} at flat index ${at}`;
    throw this.#error('not_finite', name, message);
  }

  #error(code: string, subject: string, message: string): FormatError {
    return new FormatError({ code, file: this.file, subject, message });
  }
}

/** Opens, hands the file to `use`, and closes it whatever happens. */
export async function withSafetensors<T>(
  path: string,
  use: (file: SafetensorsFile) => Promise<T>,
  name?: string,
): Promise<T> {
  const file = await SafetensorsFile.open(path, name);
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

/** Of the two dtypes of 16 bits. */
function widenerOf(dtype: string): typeof widenHalf {
  return dtype === 'BF16' ? widenBfloat16 : widenHalf;
}

/** One read call is limited to what a signed 32-bit length can say. */
const MOST_BYTES = 1 << 30;

/** Fills `target` from `position`. */
async function readFully(handle: FileHandle, target: Uint8Array, position: number, name: string): Promise<void> {
  for (let done = 0; done < target.length;) {
    const { bytesRead } = await handle.read(target, done, Math.min(target.length - done, MOST_BYTES), position + done);
    if (bytesRead === 0) throw cutOff(name, position + done, target.length - done);
    done += bytesRead;
  }
}

function readFullySync(fd: number, target: Uint8Array, position: number, name: string): void {
  for (let done = 0; done < target.length;) {
    const bytesRead = readSync(fd, target, done, Math.min(target.length - done, MOST_BYTES), position + done);
    if (bytesRead === 0) throw cutOff(name, position + done, target.length - done);
    done += bytesRead;
  }
}

function cutOff(file: string, position: number, missing: number): FormatError {
  const message = `file ends at byte ${position}, expected ${missing} more: it was cut while open`;
  return new FormatError({ code: 'invalid_safetensors', file, message });
}
