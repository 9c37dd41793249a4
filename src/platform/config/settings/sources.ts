import { folder, integerBetween, list, secret, size, url } from './kinds.ts';
import { isPlace, standTogether } from './adapter-places.ts';
import type { Environment, Settings } from './setting.ts';
import { userCacheFolder } from './user-cache.ts';

const TOKEN = /^[\x21-\x7e]+$/;
const HUB_TOKEN_VARIABLE = 'READAPT_HUB_TOKEN';

const places = list({
  isItem: isPlace,
  max: 100,
  expected:
    'places separated by ",", such as hf://,s3://adapters/{tenant}; {tenant} and {tenant_id} are whole folders, ' +
    'and no tenant may have a name by which one place leads into the folders of tenants of another',
});

/** Settings of the sources of base models and adapters, and of the folder in which workers keep base models. */
export const SOURCES = {
  hubUrl: {
    variable: 'READAPT_HUB_URL',
    // The URL appears in errors and events, so it must not contain a password.
    kind: url(
      /^https?:\/\/[^/?#@]+(\/[^?#]*)?$/,
      `http://host:port or https://host:port without a user and password; a token goes into ${HUB_TOKEN_VARIABLE}`,
    ),
    // `HF_ENDPOINT` is the variable that Hugging Face's own programs read.
    default: ({ HF_ENDPOINT }: Environment): string => HF_ENDPOINT?.trim() || 'https://huggingface.co',
    unset: '`HF_ENDPOINT` or `https://huggingface.co`',
    help: 'The Hugging Face hub, or a mirror, from which base models and adapters are fetched.',
    page: 'sources.md',
  },
  hubToken: {
    variable: HUB_TOKEN_VARIABLE,
    kind: secret(TOKEN, 'a token of the hub'),
    default: null,
    help: 'Token for private models of the hub.',
    page: 'sources.md#private-models',
  },
  adapterSources: {
    variable: 'READAPT_ADAPTER_SOURCES',
    kind: {
      ...places,
      parse(text: string): string[] | undefined {
        const withoutSlashes = text.replace(/(?<=[^/:])\/+(?=\s*(,|$))/g, '');
        const found = places.parse(withoutSlashes);
        return found !== undefined && standTogether(found) ? found : undefined;
      },
    },
    default: '',
    help:
      'Places of hubs and buckets from which tenants may import adapters: `hf://`, `hf://org`, `hf://org/name`, ' +
      '`s3://bucket/folder/{tenant}`.',
    page: 'sources.md#what-tenants-may-import',
    readBy: 'api',
  },
  adapterHubToken: {
    variable: 'READAPT_ADAPTER_HUB_TOKEN',
    kind: secret(TOKEN, 'a token of the hub'),
    default: null,
    help: 'Token sent to the hub for tenants who give none.',
    page: 'sources.md#what-tenants-may-import',
    readBy: 'api',
  },
  adapterFetchTimeoutMs: {
    variable: 'READAPT_ADAPTER_FETCH_TIMEOUT_MS',
    kind: integerBetween({ min: 100, max: 3_600_000, unit: 'milliseconds' }),
    default: '120000',
    help: 'Time limit for fetching an adapter, in milliseconds.',
    readBy: 'api',
  },
  baseCacheDir: {
    variable: 'READAPT_BASE_CACHE_DIR',
    kind: folder(),
    default: (env: Environment): string | null => userCacheFolder(env, 'bases'),
    unset: '`~/.cache/readapt/bases`',
    help: 'Folder in which a worker keeps the base models that it has fetched; in the image `/var/lib/readapt/bases`.',
    page: 'sources.md#the-cache-of-a-worker',
    readBy: 'worker',
  },
  baseCacheBytes: {
    variable: 'READAPT_BASE_CACHE_BYTES',
    kind: size({ min: 2 ** 20, example: '200GiB' }),
    default: '200GiB',
    help: 'Largest size of the base models that a worker keeps; those unused for the longest time are removed.',
    readBy: 'worker',
  },
  baseFetchStreams: {
    variable: 'READAPT_BASE_FETCH_STREAMS',
    kind: integerBetween({ min: 1, max: 32 }),
    default: '4',
    help: 'Files of a base model that a worker fetches at a time.',
    page: 'sources.md#what-is-fetched',
    readBy: 'worker',
  },
  baseUploadBytes: {
    variable: 'READAPT_BASE_UPLOAD_BYTES',
    // An upload has at most 10,000 parts, and the size of a part is an INTEGER in the database.
    kind: size({ max: 2 ** 43, example: '2000GiB' }),
    default: '1024GiB',
    help: 'Largest upload of a base model.',
    page: 'sources.md#uploads',
    readBy: 'api',
  },
  baseUploadPartBytes: {
    variable: 'READAPT_BASE_UPLOAD_PART_BYTES',
    kind: size({ min: 1024, max: 2 ** 30, example: '16MiB' }),
    default: '64MiB',
    help: "Size of the parts of such an upload, except each file's last one. More than 10,000 parts are made larger.",
    readBy: 'api',
  },
  baseUploads: {
    variable: 'READAPT_BASE_UPLOADS',
    kind: integerBetween({ min: 1, max: 10_000 }),
    default: '10',
    help: 'Largest number of uploads of base models that are open or being verified.',
    readBy: 'api',
  },
  baseUploadDays: {
    variable: 'READAPT_BASE_UPLOAD_DAYS',
    kind: integerBetween({ min: 1, max: 36_500, unit: 'days' }),
    default: '7',
    help:
      'Days until an upload whose files no version has is removed, counted from its last part or the end of its ' +
      'verification.',
    readBy: 'api',
  },
} satisfies Settings;
