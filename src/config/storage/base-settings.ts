import path from 'node:path';
import Type from 'typebox';
import { userCacheFolder } from '../graph-cache-dir.ts';
import { parseMemory } from '../memory-setting.ts';
import { ADAPTER_SOURCE_SCHEMA, ADAPTER_SOURCE_SETTINGS } from './adapter-source-settings.ts';
import {
  BASE_CACHE_BYTES_VARIABLE,
  BASE_CACHE_DIR_VARIABLE,
  BASE_STREAMS_VARIABLE,
  HUB_TOKEN_VARIABLE,
  HUB_URL_VARIABLE,
} from '../variables.ts';

/** Where base models and adapters are fetched from, and where workers keep base models. */
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
  ...ADAPTER_SOURCE_SCHEMA,
};

const asText = (text: string): unknown => text;

export const BASE_SETTINGS = {
  hubUrl: {
    variable: HUB_URL_VARIABLE,
    // The variable that Hugging Face's own programs read.
    fallback: process.env.HF_ENDPOINT?.trim() || 'https://huggingface.co',
    parse: asText,
    expected: `http://host:port or https://host:port without a user and password; a token goes into ${HUB_TOKEN_VARIABLE}`,
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
  ...ADAPTER_SOURCE_SETTINGS,
};
