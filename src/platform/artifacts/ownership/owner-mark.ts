import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import Type from 'typebox';
import { Value } from 'typebox/value';
import { writeFileAtomic } from '../../../../core/formats/atomic-file.ts';
import { createLockFile } from '../../../../core/formats/lock-file.ts';
import type { Bucket } from '../s3/bucket.ts';
import type { Owner } from './installation.repository.ts';

/** Name of the file or object that records to which database a store belongs. */
export const OWNER_MARK = 'readapt-installation.json';

const ABOUT =
  'This artifact store belongs to the installation of Readapt that is named here. `readapt doctor --adopt` gives ' +
  'it to another one.';

const OwnerMark = Type.Object({ installation: Type.String(), database: Type.String() });

export interface MarkPlace {
  /**
   * Reads the mark that names the store's database. Null if there is no mark; `damaged` if the content is not a mark.
   */
  read(): Promise<Owner | 'damaged' | null>;
  /** Writes the mark that names the store's database, unless the store has a mark already. */
  create(owner: Owner): Promise<void>;
  replace(owner: Owner): Promise<void>;
}

export function markInFolder(root: string): MarkPlace {
  const file = path.join(root, OWNER_MARK);
  return {
    read: async () => parse(await readFile(file, 'utf8').catch(unlessMissing)),
    create: async (owner) => {
      try {
        await createLockFile(file, textOf(owner));
      } catch (error) {
        // Some file systems do not support hard links.
        if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(codeOf(error))) throw error;
        await writeFile(file, textOf(owner), { flag: 'wx' });
      }
    },
    replace: (owner) => writeFileAtomic(file, textOf(owner)),
  };
}

export function markInBucket(bucket: Bucket): MarkPlace {
  const put = async (owner: Owner, ifAbsent: boolean) => {
    await bucket.put(OWNER_MARK, Buffer.from(textOf(owner)), { ifAbsent });
  };
  return {
    read: async () => {
      if ((await bucket.head(OWNER_MARK)) === undefined) return null;
      return parse((await buffer(bucket.read(OWNER_MARK))).toString());
    },
    create: (owner) => put(owner, true),
    replace: (owner) => put(owner, false),
  };
}

const textOf = (owner: Owner): string => `${JSON.stringify({ ...owner, about: ABOUT }, null, 2)}\n`;

function parse(text: string | null): Owner | 'damaged' | null {
  if (text === null) return null;
  try {
    const { installation, database } = Value.Parse(OwnerMark, JSON.parse(text));
    return { installation, database };
  } catch {
    return 'damaged';
  }
}

function unlessMissing(error: unknown): null {
  if (codeOf(error) === 'ENOENT') return null;
  throw error;
}

const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? '';
