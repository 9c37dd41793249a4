import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { SetupError } from '../config/setup-error.ts';

const run = promisify(execFile);

/** Account under which the embedded PostgreSQL runs. PostgreSQL refuses to run as root. */
export interface Account {
  name: string;
  /** Options of `spawn` that start a program under the account; empty if that is the current user. */
  ids: { uid?: number; gid?: number };
}

/** Returns the current user or, for root, the system user `postgres`, which is created if it does not exist. */
export async function serverAccount(): Promise<Account> {
  if (process.getuid?.() !== 0) return { name: 'the current user', ids: {} };
  const found = await lookUp('postgres');
  if (found !== null) return { name: 'postgres', ids: found };
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']);
  } catch (cause) {
    throw new SetupError(
      'no_database_account',
      'PostgreSQL does not run as root, and the user "postgres" does not exist and could not be created: ' +
        'run Readapt as another user, or set DATABASE_URL',
      { badInput: true, cause },
    );
  }
  const created = await lookUp('postgres');
  if (created === null) throw new Error('the user "postgres" was created but cannot be found');
  return { name: 'postgres', ids: created };
}

async function lookUp(name: string): Promise<{ uid: number; gid: number } | null> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
    return { uid: Number.parseInt(uid.stdout, 10), gid: Number.parseInt(gid.stdout, 10) };
  } catch {
    return null;
  }
}

/**
 * Creates `folder` inside `dataDir` and makes the account its owner.
 *
 * @throws SetupError if the account may not enter a folder above the data folder
 */
export async function prepareFolder(dataDir: string, folder: string, account: Account): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (account.ids.uid === undefined || account.ids.gid === undefined) return;
  await chown(folder, account.ids.uid, account.ids.gid);
  const own = await stat(dataDir);
  // Let the account enter Readapt's data folder, but not list it.
  if (own.uid === 0 && (own.mode & 0o001) === 0) await chmod(dataDir, own.mode | 0o011);
  for (let above = path.dirname(path.resolve(dataDir)); above !== path.dirname(above); above = path.dirname(above)) {
    const { mode, uid } = await stat(above);
    const bit = uid === account.ids.uid ? 0o100 : 0o001;
    if ((mode & bit) !== 0) continue;
    throw new SetupError(
      'data_folder_unusable',
      `PostgreSQL runs as user ${account.name}, who cannot reach the data folder ${dataDir} because ${above} is ` +
        'private. Set READAPT_DATA_DIR (for the demo TMPDIR) to another folder, run Readapt as another user, or set ' +
        'DATABASE_URL',
      { badInput: true },
    );
  }
}
