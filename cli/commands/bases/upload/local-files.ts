import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { BaseModelFile } from '../../../remote/transfers.ts';
import { isTaken, SENT_NAME } from '../../../../src/platform/base-sources/listing.ts';
import { UsageError } from '../../../process/errors.ts';

/**
 * Lists the files to send. A folder contributes its model files, chosen as on a hub, and its tar archives; any other
 * path is a single file.
 * @throws UsageError for a file that is neither a model file nor a tar archive, and for two files of one name; the
 * system's error for an unreadable path
 */
export async function localFiles(places: readonly string[]): Promise<BaseModelFile[]> {
  const files: BaseModelFile[] = [];
  for (const place of places) {
    const isFolder = (await stat(place)).isDirectory();
    const found = isFolder ? await modelFiles(place) : [{ name: path.basename(place), path: place }];
    files.push(...found);
  }
  const unusable = files.find(({ name }) => !isSent(name) || !SENT_NAME.test(name));
  if (unusable !== undefined) throw new UsageError(`${unusable.path} ${reasonOf(unusable)}`);
  const twice = files.find(({ name }, index) => files.findIndex((other) => other.name === name) !== index);
  if (twice !== undefined) throw new UsageError(`${twice.name} is there twice: ${twice.path} is the second one`);
  return files;
}

const isSent = (name: string): boolean => isTaken(name) || name.endsWith('.tar');

function reasonOf({ name }: BaseModelFile): string {
  const expected = isSent(name)
    ? 'a name of at most 200 letters, digits and _.+@=-'
    : 'a folder, *.safetensors, *.json, *.jinja, files of a tokenizer, or a tar archive of these (.tar, not ' +
      'compressed)';
  return `cannot be sent: expected ${expected}`;
}

async function modelFiles(folder: string): Promise<BaseModelFile[]> {
  const names = (await readdir(folder)).filter(isSent).sort();
  if (names.length === 0) {
    throw new UsageError(`${folder} has no files of a model (*.safetensors, *.json, …) and no tar archives`);
  }
  return names.map((name) => ({ name, path: path.join(folder, name) }));
}
