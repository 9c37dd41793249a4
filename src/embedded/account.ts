import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Who the embedded PostgreSQL runs as: PostgreSQL refuses to run as root, so root lends it the user `postgres`. */
export interface Account {
  name: string;
  /** Options for `spawn`; empty when the server runs as the current user. */
  ids: { uid?: number; gid?: number };
}

/** The current user, or for root the system user `postgres`, which is created if the system has none. */
export async function serverAccount(): Promise<Account> {
  if (process.getuid?.() !== 0) return { name: 'the current user', ids: {} };
  const found = await lookUp('postgres');
  if (found !== null) return { name: 'postgres', ids: found };
  try {
    await run('useradd', ['--system', '--user-group', '--no-create-home', 'postgres']);
  } catch (cause) {
    throw new Error(
      'PostgreSQL does not run as root, and there is no user "postgres" and none could be created: ' +
        'run Readapt as another user, or set DATABASE_URL',
      { cause },
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
 * Makes `folder` (inside `dataDir`) belong to the account and reachable for it.
 *
 * @throws Error if a folder above the data folder keeps the account out.
 */
export async function prepareFolder(dataDir: string, folder: string, account: Account): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (account.ids.uid === undefined || account.ids.gid === undefined) return;
  await chown(folder, account.ids.uid, account.ids.gid);
  const own = await stat(dataDir);
  // Readapt's own folder may be entered, though not listed.
  if (own.uid === 0 && (own.mode & 0o001) === 0) await chmod(dataDir, own.mode | 0o011);
  for (let above = path.dirname(path.resolve(dataDir)); above !== path.dirname(above); above = path.dirname(above)) {
    const { mode, uid } = await stat(above);
    const bit = uid === account.ids.uid ? 0o100 : 0o001;
    if ((mode & bit) !== 0) continue;
    throw new Error(
      `the data folder ${dataDir} cannot be reached by user ${account.name}, as whom PostgreSQL runs: ${above} is ` +
        'private. Set READAPT_DATA_DIR to another folder, run Readapt as another user, or set DATABASE_URL',
    );
  }
}
