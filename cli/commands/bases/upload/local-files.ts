import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { BaseModelFile } from '../../../remote/transfers.ts';
import { isTaken } from '../../../../src/base-sources/listing.ts';
import { UsageError } from '../../../errors.ts';

/**
 * The files that are sent of folders and archives: of a folder those of a model, as they are taken from a hub, and archives in it.
 * @throws UsageError that names what is neither, or the system's error for a path that cannot be read
 */
export async function localFiles(places: readonly string[]): Promise<BaseModelFile[]> {
  const files: BaseModelFile[] = [];
  for (const place of places) {
    const isFolder = (await stat(place)).isDirectory();
    const found = isFolder ? await modelFiles(place) : [{ name: path.basename(place), path: place }];
    files.push(...found);
  }
  const twice = files.find(({ name }, index) => files.findIndex((other) => other.name === name) !== index);
  if (twice !== undefined) throw new UsageError(`${twice.name} is there twice: ${twice.path} is the second one`);
  return files;
}

async function modelFiles(folder: string): Promise<BaseModelFile[]> {
  const names = (await readdir(folder)).filter((name) => isTaken(name) || name.endsWith('.tar')).sort();
  if (names.length === 0) {
    throw new UsageError(`${folder} has no files of a model (*.safetensors, *.json, …) and no tar archives`);
  }
  return names.map((name) => ({ name, path: path.join(folder, name) }));
}
