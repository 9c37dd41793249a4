import { FormatError } from '../../../../core/formats/errors.ts';
import {
  BASE_MODEL_HEADER,
  headerLength,
  parseHeader,
} from '../../../../core/formats/safetensors/safetensors-header.ts';
import { MAX_FILES, type UploadedFile } from '../../../platform/base-sources/index.ts';
import { AppError, unprocessable } from '../../../platform/contract/errors.ts';
import { checkConfig, parseConfig } from '../../base-models/index.ts';
import { isArchive } from '../file-names.ts';
import { HashedStream } from './hashed-stream.ts';
import { readArchive } from './read-archive.ts';

/** Name, size and hash of a file as the client announced them when it created the upload. */
export interface AnnouncedFile {
  readonly name: string;
  readonly size: number;
  /** SHA-256 that the client announced for the file, hexadecimal. */
  readonly sha256: string;
}

/** Error for an uploaded file whose SHA-256 differs from the announced one. The client must send the file again. */
export class WrongContentError extends Error {
  constructor(
    readonly file: string,
    message: string,
  ) {
    super(message);
    this.name = 'WrongContentError';
  }
}

/** Largest accepted size of config.json, in bytes. */
const MAX_CONFIG_BYTES = 1 << 20;

/**
 * Reads a completely uploaded file and finds the model files in it: the file itself or, if it is an archive, its
 * entries.
 * @param most the largest number of model files
 * @throws WrongContentError if the hash of the file is not the announced one; AppError 422 if the hash is right but the
 *   file cannot be used
 */
export async function readContents(
  file: AnnouncedFile,
  chunks: AsyncIterable<Uint8Array>,
  most = MAX_FILES,
): Promise<UploadedFile[]> {
  const stream = new HashedStream(chunks);
  try {
    const found = await contentsOf(file, stream, most).catch((error: unknown) => {
      if (error instanceof AppError) return error;
      throw error;
    });
    // Compares the hash first, to tell a file damaged in transit from one that was always unusable.
    const sha256 = await stream.sha256();
    if (sha256 !== file.sha256) {
      const message = `${file.name} has arrived with the SHA-256 ${sha256}, expected ${file.sha256}: send it again`;
      throw new WrongContentError(file.name, message);
    }
    if (found instanceof AppError) throw found;
    return found;
  } finally {
    await stream.close();
  }
}

async function contentsOf(
  { name, size, sha256 }: AnnouncedFile,
  stream: HashedStream,
  most: number,
): Promise<UploadedFile[]> {
  if (isArchive(name)) return readArchive({ archive: name, most }, stream.rest, inspectEntry);
  await inspect(name, size, stream);
  return [{ name, size, sha256, offset: 0 }];
}

async function inspectEntry(name: string, size: number, bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const stream = new HashedStream(bytes);
  await inspect(name, size, stream);
  return stream.sha256();
}

/**
 * Checks the beginning of a model file: the settings of a config.json, or the header of a safetensors file.
 * @throws AppError 422 `source_refused` or `invalid_base_model`
 */
async function inspect(name: string, size: number, stream: HashedStream): Promise<void> {
  if (name === 'config.json') {
    if (size > MAX_CONFIG_BYTES) {
      throw unprocessable('source_refused', `${name} has ${size} bytes, expected at most ${MAX_CONFIG_BYTES}`);
    }
    checkConfig(parseConfig((await stream.take(size)).toString('utf8')));
  }
  if (name.endsWith('.safetensors')) await checkHeader(name, size, stream);
}

async function checkHeader(name: string, size: number, stream: HashedStream): Promise<void> {
  try {
    const length = headerLength(await stream.take(8), size, name, BASE_MODEL_HEADER);
    parseHeader(await stream.take(length), size, name, BASE_MODEL_HEADER);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw unprocessable('source_refused', `${name} is no safetensors file that can be used: ${error.message}`);
  }
}
