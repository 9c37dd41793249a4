import path from 'node:path';
import Type from 'typebox';
import { userCacheFolder } from '../graph-cache-dir.ts';
import { parseMemory } from '../memory-setting.ts';
import { ADAPTER_SOURCE_SCHEMA, ADAPTER_SOURCE_SETTINGS } from './adapter-source-settings.ts';
import {
  BASE_CACHE_BYTES_VARIABLE,
  BASE_CACHE_DIR_VARIABLE,
  BASE_STREAMS_VARIABLE,
  BASE_UPLOAD_BYTES_VARIABLE,
  BASE_UPLOADS_VARIABLE,
  HUB_TOKEN_VARIABLE,
  HUB_URL_VARIABLE,
} from '../variables.ts';

/** Settings of the sources of base models and adapters, and of the folder where workers keep base models. */
export const BASE_SCHEMA = {
  /** Address of the Hugging Face hub or of a mirror. It stands in errors and events, so it has no password. */
  hubUrl: Type.String({ pattern: '^https?://[^/?#@]+(/[^?#]*)?$' }),
  /** Token for models of the hub that are private; null for none. */
  hubToken: Type.Union([Type.String({ pattern: '^[\\x21-\\x7e]+$' }), Type.Null()]),
  /** Absolute path of the folder in which this machine keeps the base models that it has fetched. */
  baseCacheDir: Type.Union([Type.String({ minLength: 1 }), Type.Null()]),
  /** Largest size of all base models in that folder, in bytes. */
  baseCacheBytes: Type.Integer({ minimum: 2 ** 20 }),
  /** Files of a base model that are fetched at a time. */
  baseFetchStreams: Type.Integer({ minimum: 1, maximum: 32 }),
  /**
   * Largest upload of a base model, in bytes. The size of its parts, of which there are at most 10,000, is an INTEGER
   * in the database.
   */
  baseUploadBytes: Type.Integer({ minimum: 1, maximum: 2 ** 43 }),
  /** Smallest size of the parts of an upload but the last one of each file, in bytes. */
  baseUploadPartBytes: Type.Integer({ minimum: 1024, maximum: 2 ** 30 }),
  /** Largest number of uploads of base models that are not complete. */
  baseUploads: Type.Integer({ minimum: 1, maximum: 10_000 }),
  /** Number of days after which an upload is removed that nothing was sent to, or that no version has the files of. */
  baseUploadDays: Type.Integer({ minimum: 1, maximum: 36_500 }),
  ...ADAPTER_SOURCE_SCHEMA,
};

const asText = (text: string): unknown => text;
const asInteger = (text: string): unknown => (/^\d+$/.test(text) ? Number(text) : text);

export const BASE_SETTINGS = {
  hubUrl: {
    variable: HUB_URL_VARIABLE,
    // The variable that Hugging Face's own programs read.
    fallback: process.env.HF_ENDPOINT?.trim() || 'https://huggingface.co',
    parse: asText,
    expected:
      'http://host:port or https://host:port without a user and password; a ' + `token goes into ${HUB_TOKEN_VARIABLE}`,
    secretUrl: true,
  },
  hubToken: {
    variable: HUB_TOKEN_VARIABLE,
    fallback: null,
    parse: asText,
    expected: 'a token of the hub',
    secret: true,
  },
  baseCacheDir: {
    variable: BASE_CACHE_DIR_VARIABLE,
    fallback: userCacheFolder(process.env, 'bases'),
    parse: (text: string): unknown => path.resolve(text),
    expected: 'a folder',
  },
  baseCacheBytes: {
    variable: BASE_CACHE_BYTES_VARIABLE,
    fallback: 200 * 2 ** 30,
    parse: parseMemory,
    expected: 'a size of at least 1MiB, such as 200GiB',
  },
  baseFetchStreams: {
    variable: BASE_STREAMS_VARIABLE,
    fallback: 4,
    parse: (text: string): unknown => (/^\d+$/.test(text) ? Number(text) : text),
    expected: 'an integer from 1 to 32',
  },
  baseUploadBytes: {
    variable: BASE_UPLOAD_BYTES_VARIABLE,
    fallback: 2 ** 40,
    parse: parseMemory,
    expected: 'a size of at most 8192GiB, such as 2000GiB',
  },
  baseUploadPartBytes: {
    variable: 'READAPT_BASE_UPLOAD_PART_BYTES',
    fallback: 64 * 2 ** 20,
    parse: parseMemory,
    expected: 'a size from 1024 bytes to 1GiB, such as 16MiB',
  },
  baseUploads: {
    variable: BASE_UPLOADS_VARIABLE,
    fallback: 10,
    parse: asInteger,
    expected: 'an integer from 1 to 10000',
  },
  baseUploadDays: {
    variable: 'READAPT_BASE_UPLOAD_DAYS',
    fallback: 7,
    parse: asInteger,
    expected: 'an integer from 1 to 36500 (days)',
  },
  ...ADAPTER_SOURCE_SETTINGS,
};
