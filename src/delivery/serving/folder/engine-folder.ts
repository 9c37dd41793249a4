import { randomUUID } from 'node:crypto';
import { link, mkdir, readdir, readFile, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder, writeHashed } from '../../../platform/artifacts/index.ts';
import { parseEngineName } from '../engine-name.ts';
import { idPattern } from '../../../platform/contract/ids.ts';
import { hasServedFiles, MARKER, renewServedFiles, writeServedFiles, type ServedMarker } from './served-files.ts';

/** Holds what is not for engines. */
const OWN = '.readapt';

const BASE = new RegExp(idPattern('baseModelVersion'));

/** What lies in the folder of a base model version. */
export interface FolderContents {
  /** The engine names of folders that say of themselves what they hold. Nothing else is ever removed. */
  readonly versions: readonly string[];
  /** Engine names by alias. */
  readonly aliases: ReadonlyMap<string, string>;
}

export type EngineFolder = Awaited<ReturnType<typeof openEngineFolder>>;

/**
 * The folder from which engines take adapters: `ROOT/<base model version>/<engine name>/`, and a link for each alias. What engines see appears and
 * goes by a rename, so a process that dies at any time leaves nothing by halves; what it leaves in `ROOT/.readapt` is cleared by the next holder.
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
    /** The same for all processes that share the folder, and another for each folder. */
    id,

    /** Removes what a process that died has left. Call it with the lease. */
    async clear(): Promise<void> {
      for (const name of await readdir(scratch)) await rm(join(scratch, name), { recursive: true, force: true });
    },

    /** The base model versions that have a folder. */
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

    /** What a version's folder says of itself; null if there is none or it says nothing. */
    marker: (base: string, name: string): Promise<ServedMarker | null> => readMarker(join(root, base, name)),

    /** The engine name for which an alias stands; null if there is none. */
    target: (base: string, alias: string): Promise<string | null> =>
      readlink(join(root, base, alias)).catch(unlessMissing(null)),

    /**
     * Puts the files of a version there. Where they are there for another name of the base, they are never missing meanwhile. What else has the name
     * goes first, since files of two adapters in one folder would be worse than none.
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
        // Where it could not be put there, it is tried again and again, and each attempt may have copied the weights.
        await rm(made, { recursive: true, force: true });
      }
      await syncFolder(join(root, base));
    },

    /** Lets an alias stand for a version, in one step. */
    async point(base: string, alias: string, name: string): Promise<void> {
      const made = join(scratch, randomUUID());
      await symlink(name, made);
      await rename(made, join(root, base, alias));
      await syncFolder(join(root, base));
    },

    removeAlias: (base: string, alias: string): Promise<void> => rm(join(root, base, alias), { force: true }),

    /** Notes that a version is no longer current, unless that is noted. @returns since when, in milliseconds since 1970 */
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
  // Where another process has written one meanwhile, that is it for both.
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
