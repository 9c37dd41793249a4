import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { create } from 'tar';
import type { ReadaptClient } from '../create-client.ts';
import { ReadaptError } from '../errors.ts';
import { createDataset, uploadAdapterVersion } from '../generated/sdk.gen.ts';
import type { AdapterVersion, CreatedDataset } from '../generated/types.gen.ts';
import { streamed } from './streamed-body.ts';

/** Files of a PEFT folder that the service accepts; the first two are required. */
const ADAPTER_FILES = ['adapter_config.json', 'adapter_model.safetensors', 'README.md', 'readapt.json'];
const REQUIRED_FILES = 2;

export interface UploadAdapterOptions {
  readonly client: ReadaptClient;
  readonly adapterId: string;
  /** Base model version that the adapter was trained on: its identifier or its version text. */
  readonly baseModelVersion: string;
  /** PEFT folder. Only the files that make up an adapter are sent. */
  readonly folder: string;
  readonly signal?: AbortSignal;
}

export interface UploadDatasetOptions {
  readonly client: ReadaptClient;
  readonly name: string;
  /** JSONL file with one row per line. */
  readonly file: string;
  /** Owner of the dataset; required for operators. */
  readonly tenantId?: string;
  readonly signal?: AbortSignal;
}

/**
 * Imports a version of an adapter from a PEFT folder. Each attempt reads the files while it sends them.
 * @throws ReadaptError if a file is missing; ProblemError
 */
export async function uploadAdapter(options: UploadAdapterOptions): Promise<AdapterVersion> {
  const { client, adapterId, baseModelVersion, folder, signal } = options;
  const files = await adapterFiles(folder);
  return uploadAdapterVersion({
    client,
    path: { id: adapterId },
    query: { base_model_version: baseModelVersion },
    ...streamed(client, () => archiveOf(folder, files), signal),
  });
}

/**
 * Uploads a dataset from a file. Each attempt reads the file while it sends it.
 * @throws ProblemError `invalid_dataset` with the lines that are wrong, and others
 */
export function uploadDataset({ client, name, file, tenantId, signal }: UploadDatasetOptions): Promise<CreatedDataset> {
  return createDataset({
    client,
    query: { name, ...(tenantId === undefined ? {} : { tenant_id: tenantId }) },
    ...streamed(client, () => createReadStream(file), signal),
  });
}

async function adapterFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for (const [index, name] of ADAPTER_FILES.entries()) {
    try {
      await access(path.join(folder, name));
      found.push(name);
    } catch (error) {
      if (index < REQUIRED_FILES) {
        throw new ReadaptError(`${folder} is not a PEFT folder: ${name} cannot be read`, { cause: error });
      }
    }
  }
  return found;
}

/**
 * Packs the files of a folder. Equal folders give equal archives, so that a repeated upload is the same request. Links
 * are sent as the files that they point to.
 */
function archiveOf(folder: string, files: string[]): Readable {
  const options = { cwd: folder, portable: true, mtime: new Date(0), follow: true, strict: true, noDirRecurse: true };
  return Readable.from(create({ ...options, sync: false }, files));
}
