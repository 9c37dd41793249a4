import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { commandLine, processIdentity } from './processes.ts';

/** Process that uses the embedded PostgreSQL of a data folder. The last such process to leave stops the server. */
export interface User {
  pid: number;
  /**
   * Whether the process refuses to share the data folder with another exclusive process. In this way, a second service
   * on the same folder is refused.
   */
  exclusive: boolean;
}

/**
 * Error of a data folder that another exclusive process uses. It counts as bad input, because another setting helps.
 */
export class DataFolderInUseError extends Error {
  readonly badInput = true;
  readonly code = 'data_folder_in_use';

  constructor(dataDir: string, pid: number, command: string) {
    super(
      `the data folder ${dataDir} is in use by process ${pid} (${command.slice(0, 200)}): ` +
        'stop that process, or set READAPT_DATA_DIR (--data-dir) to another folder',
    );
    this.name = 'DataFolderInUseError';
  }
}

/**
 * Records this process as a user, by an empty file whose name identifies the process, so that the file of a killed
 * process does not count. Call this, `leave` and `livingUsers` while holding the start lock.
 *
 * @returns the path of the file, for `leave`
 * @throws DataFolderInUseError if `exclusive` is set and another living process is exclusive, too
 */
export async function registerUser(folder: string, options: { exclusive: boolean; dataDir: string }): Promise<string> {
  const other = (await livingUsers(folder)).find((user) => user.exclusive);
  if (options.exclusive && other !== undefined) {
    throw new DataFolderInUseError(options.dataDir, other.pid, await commandLine(other.pid));
  }
  const identity = (await processIdentity(process.pid)) ?? String(process.pid);
  const file = path.join(usersOf(folder), `${identity}.${options.exclusive ? 'exclusive' : 'shared'}.${randomUUID()}`);
  await mkdir(usersOf(folder), { recursive: true });
  await writeFile(file, '');
  return file;
}

export function leave(file: string): Promise<void> {
  return rm(file, { force: true });
}

/** Lists the users whose processes are alive, and removes the files of all others. */
export async function livingUsers(folder: string): Promise<User[]> {
  const users: User[] = [];
  for (const name of await readdir(usersOf(folder)).catch(() => [])) {
    const [identity = '', kind] = name.split('.');
    const pid = Number.parseInt(identity, 10);
    if ((await processIdentity(pid)) === identity) users.push({ pid, exclusive: kind === 'exclusive' });
    else await leave(path.join(usersOf(folder), name));
  }
  return users;
}

function usersOf(folder: string): string {
  return path.join(folder, 'users');
}
