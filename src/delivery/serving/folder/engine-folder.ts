import { randomUUID } from 'node:crypto';
import { link, mkdir, readdir, readFile, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder, writeHashed } from '../../../platform/artifacts/index.ts';
import { parseEngineName } from '../engine-name.ts';
import { idPattern } from '../../../platform/contract/ids.ts';
import { hasServedFiles, MARKER, renewServedFiles, writeServedFiles, type ServedMarker } from './served-files.ts';

/** Name of the subfolder for this service's internal files, which engines ignore. */
const OWN = '.readapt';

const BASE = new RegExp(idPattern('baseModelVersion'));

/** Contents of the folder of one base model version. */
export interface FolderContents {
  /**
   * Engine names of the adapter versions in the folder: the names of subfolders with the marker file of this service.
   * No other subfolder is ever removed.
   */
  readonly versions: readonly string[];
  /** Engine names of the versions to which the aliases point, by alias. */
  readonly aliases: ReadonlyMap<string, string>;
}

export type EngineFolder = Awaited<ReturnType<typeof openEngineFolder>>;

/**
 * Opens the folder from which engines take adapters: `ROOT/<base model version>/<engine name>/`, and a link for each
 * alias. Changes become visible by renames, so a crash never leaves a partial result. The next process that gets the
 * lease clears what a crash has left in `ROOT/.readapt`.
 */
export async function openEngineFolder(root: string) {
  const [scratch, retired] = [join(root, OWN, 'scratch'), join(root, OWN, 'retired')];
  await mkdir(scratch, { recursive: true });
  await mkdir(retired, { recursive: true });
  const id = await identifierOf(join(root, OWN));

  async function moveAway(path: string): Promise<void> {
    const gone = join(scratch, randomUUID());
    await rename(path, gone);
    await rm(gone, { recursive: true, force: true });
  }

  return {
    /** Identifier of the folder, shared by all processes that use it. */
    id,

    /**
     * Removes the unfinished files that a process has left in the folder because it died. Call this only while holding
     * the lease on the folder.
     */
    async clear(): Promise<void> {
      for (const name of await readdir(scratch)) await rm(join(scratch, name), { recursive: true, force: true });
    },

    /** Lists the base model versions that have a folder. */
    bases: async (): Promise<string[]> => (await readdir(root)).filter((name) => BASE.test(name)),

    async contents(base: string): Promise<FolderContents> {
      const [versions, aliases]: [string[], Map<string, string>] = [[], new Map()];
      const entries = await readdir(join(root, base), { withFileTypes: true }).catch(unlessMissing([]));
      for (const entry of entries) {
        const path = join(root, base, entry.name);
        if (parseEngineName(entry.name) === null) continue;
        if (entry.isSymbolicLink()) aliases.set(entry.name, await readlink(path));
        else if ((await readMarker(path)) !== null) versions.push(entry.name);
      }
      return { versions, aliases };
    },

    /** Reads the marker file of an adapter version's folder; null if the folder or the marker does not exist. */
    marker: (base: string, name: string): Promise<ServedMarker | null> => readMarker(join(root, base, name)),

    /** Reads the engine name to which an alias points; null if the alias does not exist. */
    target: (base: string, alias: string): Promise<string | null> =>
      readlink(join(root, base, alias)).catch(unlessMissing(null)),

    /**
     * Writes the files of an adapter version to the folder under its engine name. If the files are there already, but
     * name the base differently, only the files with the name of the base are replaced, and no file is missing at any
     * time. Any other content under the engine name is removed first, because a folder with files of two adapters would
     * be worse than none.
     */
    async put(base: string, name: string, { source, marker }: { source: string; marker: ServedMarker }): Promise<void> {
      const [made, path] = [join(scratch, randomUUID()), join(root, base, name)];
      if ((await readMarker(path))?.digest === marker.digest && (await hasServedFiles(source, path))) {
        return renewServedFiles(source, path, { marker, scratch });
      }
      try {
        await writeServedFiles(source, made, marker);
        await mkdir(join(root, base), { recursive: true });
        if ((await stat(path).catch(unlessMissing(null))) !== null) await moveAway(path);
        await rename(made, path);
      } finally {
        // Publishing is retried, and each failed attempt may have copied the weights.
        await rm(made, { recursive: true, force: true });
      }
      await syncFolder(join(root, base));
    },

    /** Points an alias to a version, atomically. */
    async point(base: string, alias: string, name: string): Promise<void> {
      const made = join(scratch, randomUUID());
      await symlink(name, made);
      await rename(made, join(root, base, alias));
      await syncFolder(join(root, base));
    },

    removeAlias: (base: string, alias: string): Promise<void> => rm(join(root, base, alias), { force: true }),

    /**
     * Marks a version as no longer current, unless the version is marked already.
     * @returns the time of the mark, in milliseconds since 1970
     */
    async retire(base: string, name: string): Promise<number> {
      const note = join(retired, base, name);
      const known = await stat(note).catch(unlessMissing(null));
      if (known !== null) return known.mtimeMs;
      await mkdir(join(retired, base), { recursive: true });
      await writeHashed(note, nothing());
      return (await stat(note)).mtimeMs;
    },

    bringBack: (base: string, name: string): Promise<void> => rm(join(retired, base, name), { force: true }),

    async remove(base: string, name: string): Promise<void> {
      await moveAway(join(root, base, name)).catch(unlessMissing(undefined));
      await rm(join(retired, base, name), { force: true });
    },
  };
}

async function identifierOf(own: string): Promise<string> {
  const path = join(own, 'id');
  const read = () => readFile(path, 'utf8').catch(unlessMissing(''));
  const known = await read();
  if (known !== '') return known;
  const made = join(own, `id-${randomUUID()}`);
  await writeHashed(made, text(randomUUID()));
  // If another process has created the identifier in the meantime, both use that one.
  await link(made, path).catch(unless('EEXIST', undefined));
  await rm(made);
  await syncFolder(own);
  return read();
}

async function readMarker(folder: string): Promise<ServedMarker | null> {
  try {
    return JSON.parse(await readFile(join(folder, MARKER), 'utf8')) as ServedMarker;
  } catch {
    return null;
  }
}

const unlessMissing = <T>(otherwise: T) => unless('ENOENT', otherwise);

function unless<T>(expected: string, otherwise: T) {
  return (error: unknown): T => {
    if ((error as NodeJS.ErrnoException).code === expected) return otherwise;
    throw error;
  };
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

async function* text(content: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(content);
}
