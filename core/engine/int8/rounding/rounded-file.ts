import { createHash, randomBytes } from 'node:crypto';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { writeFully } from '../../../formats/atomic-file.ts';
import type { IntegerArray } from '../weight-integers.ts';
import type { Direction, Int8Matrix } from './int8-matrix.ts';

/** Position of a matrix in the file: its integers, directly followed by its scales as float32. */
interface Place {
  readonly start: number;
  readonly shape: readonly [number, number];
  /** CRC-32 checksum of the matrix's integers and scales. */
  readonly checksum: number;
}

/** Size of the footer: the length of the index (8 bytes, little-endian) and the index's SHA-256. */
const FOOTER_SIZE = 8 + 32;

/** Size limit of the index in bytes, enough for hundreds of thousands of matrices. */
const MAX_INDEX_BYTES = 64 << 20;

/**
 * File with the rounded matrices of one base. Each matrix is read and verified separately, so that no pass over the
 * whole file is needed. While the file is being written, it has a temporary name and can already be read.
 */
export class RoundedFile {
  readonly #handle: FileHandle;
  readonly #places: Map<string, Place>;
  /**
   * Temporary and final path of a file that is still being written, renamed by {@link commit}; null for a file that is
   * complete.
   */
  #names: { readonly temporary: string; readonly path: string } | null;
  #end: number;

  private constructor(
    handle: FileHandle,
    places: Map<string, Place>,
    names: { temporary: string; path: string } | null,
  ) {
    this.#handle = handle;
    this.#places = places;
    this.#names = names;
    this.#end = 0;
  }

  /**
   * Starts a new file of rounded matrices under a temporary name.
   * @throws Error if it cannot be written
   */
  static async create(path: string): Promise<RoundedFile> {
    const temporary = `${path}.tmp-${randomBytes(6).toString('hex')}`;
    return new RoundedFile(await open(temporary, 'wx+', 0o600), new Map(), { temporary, path });
  }

  /** Opens a complete file of rounded matrices. Returns null if there is no such file, or its index is damaged. */
  static async open(path: string): Promise<RoundedFile | null> {
    const handle = await open(path, 'r').catch(() => null);
    if (handle === null) return null;
    const places = await readIndex(handle).catch(() => null);
    if (places !== null) return new RoundedFile(handle, places, null);
    await handle.close();
    return null;
  }

  /** Whether this process has started the file with {@link create}, so that it must still be filled. */
  get isNew(): boolean {
    return this.#names !== null;
  }

  async add(weight: string, direction: Direction, { shape, integers, scales }: Int8Matrix): Promise<void> {
    const parts = [bytesOf(integers), bytesOf(scales)];
    this.#places.set(keyOf(weight, direction), { start: this.#end, shape, checksum: checksumOf(parts) });
    for (const part of parts) await writeFully(this.#handle, part);
    this.#end += integers.length + scales.byteLength;
  }

  /**
   * Reads a matrix. Returns null if the file does not hold the matrix, or if the stored data is damaged.
   * @param allocate provides the array for the matrix's integers
   */
  async read(
    weight: string,
    direction: Direction,
    allocate: (size: number) => IntegerArray,
  ): Promise<Int8Matrix | null> {
    const place = this.#places.get(keyOf(weight, direction));
    if (!place) return null;
    const [rows, columns] = place.shape;
    const [integers, scales] = [allocate(rows * columns), new Float32Array(columns)];
    const parts = [bytesOf(integers), bytesOf(scales)] as const;
    const whole =
      (await readFully(this.#handle, parts[0], place.start)) &&
      (await readFully(this.#handle, parts[1], place.start + integers.length));
    return whole && checksumOf(parts) === place.checksum ? { shape: place.shape, integers, scales } : null;
  }

  /**
   * Finishes the file and gives it its final name, under which other processes find it.
   * @throws Error if it cannot be written
   */
  async commit(): Promise<void> {
    if (this.#names === null) return;
    const { temporary, path } = this.#names;
    const index = Buffer.from(JSON.stringify([...this.#places]));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(index.length));
    await writeFully(this.#handle, Buffer.concat([index, length, sha256(index)]));
    await this.#handle.sync();
    await rename(temporary, path);
    this.#names = null;
  }

  /** Closes the file. A file that {@link commit} has not finished is removed. */
  async close(): Promise<void> {
    await this.#handle.close();
    if (this.#names !== null) await rm(this.#names.temporary, { force: true });
  }
}

function keyOf(weight: string, direction: Direction): string {
  return `${direction} ${weight}`;
}

async function readIndex(handle: FileHandle): Promise<Map<string, Place> | null> {
  const { size } = await handle.stat();
  const footer = Buffer.alloc(FOOTER_SIZE);
  if (size < FOOTER_SIZE || !(await readFully(handle, footer, size - FOOTER_SIZE))) return null;
  const length = Number(footer.readBigUInt64LE());
  if (length > Math.min(MAX_INDEX_BYTES, size - FOOTER_SIZE)) return null;
  const index = Buffer.alloc(length);
  if (!(await readFully(handle, index, size - FOOTER_SIZE - length))) return null;
  if (!sha256(index).equals(footer.subarray(8))) return null;
  return new Map(JSON.parse(index.toString()) as [string, Place][]);
}

/** Fills `into` with bytes of the file from `position` on. Returns false if the file ends before `into` is full. */
async function readFully(handle: FileHandle, into: Uint8Array, position: number): Promise<boolean> {
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await handle.read(into, done, Math.min(into.length - done, 1 << 30), position + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}

function bytesOf({ buffer, byteOffset, byteLength }: IntegerArray | Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function checksumOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((checksum, part) => crc32(part, checksum), 0);
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
