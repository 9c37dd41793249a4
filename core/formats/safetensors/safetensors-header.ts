import { quote, shorten } from '../../options/quote.ts';
import { DTYPE_BYTES } from './dtypes.ts';
import { FormatError } from '../errors.ts';
import { isObject, JsonLimitError, parseStrictJson, type JsonObject } from '../json.ts';

/** Dtype, shape and position of a tensor in its file. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Position of the tensor's first byte, in bytes from the start of the file. */
  readonly start: number;
  /** Length of the tensor's data in bytes. */
  readonly bytes: number;
}

export interface SafetensorsHeader {
  /** Entries of a file's tensors by name, in the order of their bytes in the file. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Largest size in bytes and largest number of tensors that a file's header may have. Several copies of a header are in
 * memory while it is read.
 */
export interface HeaderLimits {
  readonly bytes: number;
  readonly tensors: number;
}

/**
 * Limits for base models. Llama 3.1 405B has 1,138 tensors, and mixtures of experts have tens of thousands in all of
 * their shards. The reference implementation accepts 100 MB.
 */
export const BASE_MODEL_HEADER: HeaderLimits = { bytes: 16 << 20, tensors: 100_000 };

/** Limits for adapters. DoRA on every linear layer of Llama 3.1 405B has 2,646 tensors, in a header of 350 kB. */
export const ADAPTER_HEADER: HeaderLimits = { bytes: 4 << 20, tensors: 32_768 };

/** Largest length of a tensor's name; real names have about 60 characters. */
const MAX_NAME_LENGTH = 512;
/** Largest nesting depth of a header: an object of entries, which hold lists of sizes and offsets. */
const HEADER_DEPTH = 3;
const MAX_AXES = 8;

/**
 * Returns the length of the JSON header in bytes, checked against the file's size.
 * @param prefix the first eight bytes of the file
 * @param file name of the file in error messages
 * @throws FormatError `invalid_safetensors`
 */
export function headerLength(prefix: Uint8Array, fileBytes: number, file: string, limits: HeaderLimits): number {
  if (fileBytes === 0) throw invalid(file, 'file is empty, expected a safetensors file');
  if (fileBytes < 8) throw invalid(file, `file has ${fileBytes} bytes, expected at least the 8 of a header length`);
  const declared = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true);
  if (declared > BigInt(fileBytes - 8)) {
    throw invalid(file, `declared header length ${declared} is larger than the file (${fileBytes} bytes)`);
  }
  if (declared > BigInt(limits.bytes)) {
    throw invalid(file, `declared header length ${declared} is over the limit of ${limits.bytes} bytes`);
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
export function parseHeader(
  json: Uint8Array,
  fileBytes: number,
  file: string,
  limits: HeaderLimits,
): SafetensorsHeader {
  const fields = Object.entries(parseObject(json, file, limits));
  const dataStart = 8 + json.length;
  const entries = fields
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => parseEntry(name, value, dataStart, file));
  entries.sort((a, b) => a.start - b.start || a.bytes - b.bytes);
  checkCoverage(entries, dataStart, fileBytes, file);
  const metadata = parseMetadata(fields.find(([name]) => name === '__metadata__')?.[1], file);
  return { tensors: new Map(entries.map((entry) => [entry.name, entry])), metadata };
}

function parseObject(json: Uint8Array, file: string, { tensors }: HeaderLimits): JsonObject {
  // One more key for the metadata.
  const limits = { depth: HEADER_DEPTH, keys: tensors + 1, keyLength: MAX_NAME_LENGTH };
  let value: unknown;
  try {
    value = parseStrictJson(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json), limits);
  } catch (cause) {
    const { message: reason } = cause as Error;
    const message = cause instanceof JsonLimitError ? `header ${reason}` : `header is not valid JSON: ${reason}`;
    throw invalid(file, message, undefined, cause);
  }
  if (!isObject(value)) throw invalid(file, 'header is not a JSON object');
  return value;
}

function parseEntry(name: string, value: unknown, dataStart: number, file: string): TensorEntry {
  const shown = shorten(name);
  if (!isObject(value)) throw invalid(file, `header entry of tensor ${shown} is not an object`, name);
  const { dtype, shape, data_offsets: offsets, ...others } = value;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined)
    throw invalid(file, `header of tensor ${shown} has the unknown field ${quote(unknown)}`, name);
  const width = typeof dtype === 'string' && Object.hasOwn(DTYPE_BYTES, dtype) ? DTYPE_BYTES[dtype] : undefined;
  if (width === undefined) {
    const known = Object.keys(DTYPE_BYTES).join(', ');
    throw invalid(file, `tensor ${shown} has dtype ${quote(dtype)}, expected one of ${known}`, name);
  }
  if (!isCounts(shape) || shape.length > MAX_AXES) {
    throw invalid(file, `tensor ${shown} has shape ${quote(shape)}, expected sizes, at most ${MAX_AXES}`, name);
  }
  const [begin, end] = isCounts(offsets) && offsets.length === 2 ? offsets : [];
  if (begin === undefined || end === undefined || begin > end) {
    throw invalid(file, `tensor ${shown} has data_offsets ${quote(offsets)}, expected [begin, end]`, name);
  }
  const bytes = end - begin;
  const expected = shape.reduce((product, size) => product * size, width);
  if (bytes !== expected) {
    const type = `${String(dtype)} [${shape.join(', ')}]`;
    const message = `tensor ${shown} has ${bytes} bytes, expected ${expected} for ${type}`;
    throw invalid(file, message, name);
  }
  return { name, dtype: dtype as string, shape, start: dataStart + begin, bytes };
}

function checkCoverage(entries: readonly TensorEntry[], dataStart: number, fileBytes: number, file: string): void {
  let end = dataStart;
  for (const entry of entries) {
    if (entry.start !== end) {
      const fault = entry.start < end ? 'overlaps the tensor before it' : 'leaves a hole before it';
      const place = `begins at ${entry.start - dataStart}, expected ${end - dataStart}`;
      const message = `tensor ${shorten(entry.name)} ${fault}: ${place}`;
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
