import { createHash, randomUUID } from 'node:crypto';
import { link, mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { readPlainFile, syncFolder, writeHashed } from '../../../platform/artifacts/index.ts';

/** Name of the marker file, which describes the contents of an adapter's folder. */
export const MARKER = 'readapt-serving.json';

/** Contents of the marker file. A folder with a different marker is written again. */
export interface ServedMarker {
  readonly adapter_id: string;
  readonly adapter_version_id: string;
  readonly digest: string;
  readonly serving_name: string;
  readonly base_model_fingerprint: string | null;
}

const CONFIG = 'adapter_config.json';
const MANIFEST = 'readapt.json';

/**
 * Writes the files of an artifact to a new folder in the format that engines expect. Weights are linked if the store is
 * on the same file system, and copied otherwise. When this returns, all files are on disk.
 */
export async function writeServedFiles(source: string, to: string, marker: ServedMarker): Promise<void> {
  await mkdir(to);
  const changed = await withServingName(source, marker.serving_name);
  for (const name of await readdir(source)) {
    const text = changed.get(name);
    if (text === undefined) await linkOrCopy(join(source, name), join(to, name));
    else await writeText(join(to, name), text);
  }
  await writeText(join(to, MARKER), markerText(marker));
  await syncFolder(to);
}

/**
 * Whether a folder has files with the same names as an artifact, and the marker file. Of such a folder, only the files
 * that contain the name of the base have to be rewritten.
 */
export async function hasServedFiles(source: string, folder: string): Promise<boolean> {
  const [expected, present] = await Promise.all([source, folder].map((path) => readdir(path)));
  return [...expected!, MARKER].sort().join('/') === present!.sort().join('/');
}

/**
 * Rewrites the files of a folder that contain the name of the base. Each file is replaced by a rename, so a reader
 * always finds all files, old or new. The marker is written last, so an interrupted attempt is repeated. Weights stay
 * untouched.
 * @param scratch a folder on the same file system
 */
export async function renewServedFiles(
  source: string,
  folder: string,
  { marker, scratch }: { marker: ServedMarker; scratch: string },
): Promise<void> {
  const changed = await withServingName(source, marker.serving_name);
  for (const name of (await readdir(source)).filter((one) => one === CONFIG || one === MANIFEST)) {
    const text = changed.get(name) ?? (await readFile(join(source, name), 'utf8'));
    if ((await readFile(join(folder, name), 'utf8')) !== text) await replaceText(join(folder, name), text, scratch);
  }
  await replaceText(join(folder, MARKER), markerText(marker), scratch);
  await syncFolder(folder);
}

/**
 * Makes the files whose contents have to differ from those in the artifact, by file name. An imported adapter contains
 * the name that its tenant has for the base, and engines compare this name with their own. If the artifact has a
 * `readapt.json`, that file gets the checksum of the changed config.
 */
async function withServingName(source: string, servingName: string): Promise<Map<string, string>> {
  const config = JSON.parse(await readFile(join(source, CONFIG), 'utf8')) as Record<string, unknown>;
  if (config.base_model_name_or_path === servingName) return new Map();
  const text = `${JSON.stringify({ ...config, base_model_name_or_path: servingName }, null, 2)}\n`;
  const manifest = await readFile(join(source, MANIFEST), 'utf8').catch(() => null);
  if (manifest === null) return new Map([[CONFIG, text]]);
  const parsed = JSON.parse(manifest) as { files?: Record<string, unknown> };
  const checksum = { sha256: createHash('sha256').update(text).digest('hex'), bytes: Buffer.byteLength(text) };
  const rewritten = { ...parsed, files: { ...parsed.files, [CONFIG]: checksum } };
  return new Map([
    [CONFIG, text],
    [MANIFEST, `${JSON.stringify(rewritten, null, 2)}\n`],
  ]);
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    // Links are impossible: another file system, one without links, or a store that belongs to another user.
    if (!['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
    await writeHashed(to, readPlainFile(from));
  }
}

const markerText = (marker: ServedMarker): string => `${JSON.stringify(marker, null, 2)}\n`;

async function replaceText(path: string, text: string, scratch: string): Promise<void> {
  const made = join(scratch, randomUUID());
  await writeText(made, text);
  await rename(made, path);
}

async function writeText(path: string, text: string): Promise<void> {
  await writeHashed(path, toChunks(text));
}

async function* toChunks(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
