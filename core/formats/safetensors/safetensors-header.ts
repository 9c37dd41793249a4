import { DTYPE_BYTES } from './dtypes.ts';
import { FormatError } from '../errors.ts';
import { isObject, parseStrictJson, type JsonObject } from '../json.ts';

/** A tensor's dtype, shape and place in its file. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Offset of the first byte from the start of the file. */
  readonly start: number;
  /** Length in bytes. */
  readonly bytes: number;
}

export interface SafetensorsHeader {
  /** Tensors by name, in the order of their bytes in the file. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The reference implementation's limit; real headers have a few megabytes at most. */
const MAX_HEADER_BYTES = 100_000_000;

/**
 * Length of the JSON header in bytes, checked against the file's size.
 * @param prefix the first eight bytes of the file
 * @param file name of the file in error messages
 * @throws FormatError `invalid_safetensors`
 */
export function headerLength(prefix: Uint8Array, fileBytes: number, file: string): number {
  if (fileBytes === 0) throw invalid(file, 'file is empty, expected a safetensors file');
  if (fileBytes < 8) throw invalid(file, `file has ${fileBytes} bytes, expected at least the 8 of a header length`);
  const declared = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (declared > BigInt(fileBytes - 8)) {
    throw invalid(file, `declared header length ${declared} is larger than the file (${fileBytes} bytes)`);
  }
  if (declared > BigInt(MAX_HEADER_BYTES)) {
    throw invalid(file, `declared header length ${declared} is over the limit of ${MAX_HEADER_BYTES} bytes`);
  }
  return Number(declared);
}

/**
 * Parses and checks the JSON header: dtypes must be known, each tensor's bytes must match its dtype and shape, and the
 * tensors must cover the data exactly, without overlap, hole or remainder.
 * @param json the header's bytes
 * @param fileBytes size of the whole file
 * @param file name of the file in error messages
 * @throws FormatError `invalid_safetensors`, naming the tensor at fault
 */
export function parseHeader(json: Uint8Array, fileBytes: number, file: string): SafetensorsHeader {
  const fields = Object.entries(parseObject(json, file));
  const dataStart = 8 + json.length;
  const entries = fields
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => parseEntry(name, value, dataStart, file));
  entries.sort((a, b) => a.start - b.start || a.bytes - b.bytes);
  checkCoverage(entries, dataStart, fileBytes, file);
  const metadata = parseMetadata(fields.find(([name]) => name === '__metadata__')?.[1], file);
  return { tensors: new Map(entries.map((entry) => [entry.name, entry])), metadata };
}

function parseObject(json: Uint8Array, file: string): JsonObject {
  let value: unknown;
  try {
    value = parseStrictJson(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json));
  } catch (cause) {
    throw invalid(file, `header is not valid JSON: ${(cause as Error).message}`, undefined, cause);
  }
  if (!isObject(value)) throw invalid(file, 'header is not a JSON object');
  return value;
}

function parseEntry(name: string, value: unknown, dataStart: number, file: string): TensorEntry {
  if (!isObject(value)) throw invalid(file, `header entry of tensor ${name} is not an object`, name);
  const { dtype, shape, data_offsets: offsets, ...others } = value;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) throw invalid(file, `header of tensor ${name} has the unknown field "${unknown}"`, name);
  const width = typeof dtype === 'string' && Object.hasOwn(DTYPE_BYTES, dtype) ? DTYPE_BYTES[dtype] : undefined;
  if (width === undefined) {
    const known = Object.keys(DTYPE_BYTES).join(', ');
    throw invalid(file, `tensor ${name} has dtype ${JSON.stringify(dtype)}, expected one of ${known}`, name);
  }
  if (!isCounts(shape)) throw invalid(file, `tensor ${name} has shape ${JSON.stringify(shape)}, expected sizes`, name);
  const [begin, end] = isCounts(offsets) && offsets.length === 2 ? offsets : [];
  if (begin === undefined || end === undefined || begin > end) {
    throw invalid(file, `tensor ${name} has data_offsets ${JSON.stringify(offsets)}, expected [begin, end]`, name);
  }
  const bytes = end - begin;
  const expected = shape.reduce((product, size) => product * size, width);
  if (bytes !== expected) {
    const message = `tensor ${name} has ${bytes} bytes, expected ${expected} for ${String(dtype)} [${shape.join(', ')}]`;
    throw invalid(file, message, name);
  }
  return { name, dtype: dtype as string, shape, start: dataStart + begin, bytes };
}

function checkCoverage(entries: readonly TensorEntry[], dataStart: number, fileBytes: number, file: string): void {
  let end = dataStart;
  for (const entry of entries) {
    if (entry.start !== end) {
      const fault = entry.start < end ? 'overlaps the tensor before it' : 'leaves a hole before it';
      const message = `tensor ${entry.name} ${fault}: begins at ${entry.start - dataStart}, expected ${end - dataStart}`;
      throw invalid(file, message, entry.name);
    }
    end += entry.bytes;
  }
  if (end > fileBytes) {
    const message = `file ends before the data that its header declares: it has ${fileBytes} bytes, expected ${end}`;
    throw invalid(file, message, entries.find((entry) => entry.start + entry.bytes > fileBytes)?.name);
  }
  if (end < fileBytes) throw invalid(file, `file has ${fileBytes} bytes, expected ${end}: data after the last tensor`);
}

function parseMetadata(value: unknown, file: string): Record<string, string> {
  if (value === undefined) return {};
  if (!isObject(value) || !Object.values(value).every((text) => typeof text === 'string')) {
    throw invalid(file, 'header field __metadata__ is not an object of strings', '__metadata__');
  }
  return value as Record<string, string>;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

function invalid(file: string, message: string, subject?: string, cause?: unknown): FormatError {
  return new FormatError({ code: 'invalid_safetensors', file, message, subject, cause });
}
