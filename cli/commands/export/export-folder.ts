import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../../../core/formats/atomic-file.ts';
import { UsageError } from '../../process/errors.ts';
import { FILE_NAMES, type ExportFile } from '../../kubernetes/export-files.ts';
import { HEADING, toYaml } from '../../kubernetes/manifest.ts';

/**
 * File that an export has produced: its name, its number of Kubernetes objects, and whether its content has changed.
 */
export interface WrittenFile {
  readonly name: string;
  readonly objects: number;
  readonly changed: boolean;
}

/**
 * Writes each file whose content has changed, atomically and in the given order, and removes files of an earlier export
 * that the new export does not contain.
 * @throws UsageError if the folder has a file with the name of an export file that this command did not write
 */
export async function writeExport(folder: string, files: readonly ExportFile[]): Promise<WrittenFile[]> {
  await mkdir(folder, { recursive: true });
  const present = new Map<string, string | null>();
  for (const name of FILE_NAMES) present.set(name, await ownText(path.join(folder, name)));
  const written: WrittenFile[] = [];
  for (const { name, manifests } of files) {
    const text = toYaml(manifests);
    const changed = present.get(name) !== text;
    if (changed) await writeFileAtomic(path.join(folder, name), text);
    written.push({ name, objects: manifests.length, changed });
  }
  for (const name of FILE_NAMES) {
    if (present.get(name) === null || files.some((file) => file.name === name)) continue;
    await rm(path.join(folder, name));
    written.push({ name, objects: 0, changed: true });
  }
  return written;
}

/**
 * Reads a file of an earlier export; null if there is no such file.
 * @throws UsageError if the file was not written by `readapt export k8s`
 */
async function ownText(file: string): Promise<string | null> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (text === null || text.startsWith(HEADING)) return text;
  throw new UsageError(
    `${file} was not written by \`readapt export k8s\`: give another --output, or move the file away`,
  );
}
