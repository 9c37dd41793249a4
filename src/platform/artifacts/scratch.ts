import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readlink, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { join } from 'node:path';

/** Heartbeat interval of a process, in milliseconds. */
const HEARTBEAT_MS = 60_000;

/** Time without a heartbeat after which a process of another machine counts as dead, in milliseconds. */
const SILENT_MS = 3_600_000;

/** Folder in a store that has a file for each process that uses the store. */
const OWNERS = 'owners';

const START = randomUUID();

/**
 * Folders of the stores to which this process writes heartbeats. While it does, other processes leave its temporary
 * files alone.
 */
const joined = new Set<string>();

/**
 * Name of this process among all processes that share a store. It consists of the machine, the process id and an
 * identifier of this start of the process.
 */
async function ownName(): Promise<string> {
  // Containers may share a host's name, but each numbers its processes by itself.
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
  const machine = `${os.hostname()}-${namespace}`.replaceAll(/[^\w-]/g, '_');
  return `${machine}.${process.pid}.${START}`;
}

/**
 * Announces this process among those that share a store, and then regularly writes a heartbeat.
 * @returns the prefix for the names of this process's temporary files
 */
export async function joinOwners(root: string): Promise<string> {
  const name = await ownName();
  const file = join(root, OWNERS, name);
  // A store that is full or read-only can still be read. The next heartbeat tries again.
  const beat = () => writeFile(file, new Date().toISOString()).catch(() => undefined);
  await mkdir(join(root, OWNERS), { recursive: true }).catch(() => undefined);
  await beat();
  if (!joined.has(root)) {
    joined.add(root);
    setInterval(() => void beat(), HEARTBEAT_MS).unref();
  }
  return `${name}~`;
}

/** Selects the names of temporary files that belong to dead processes, and removes these processes' heartbeat files. */
export async function ofDeadOwners(root: string, names: readonly string[]): Promise<string[]> {
  const own = await ownName();
  const owners = await readdir(join(root, OWNERS)).catch((): string[] => []);
  // If this process's own file is missing, the folder does not tell whether the others live either.
  if (!owners.includes(own)) return [];
  const living = new Set<string>();
  for (const owner of owners) {
    if (owner === own || !(await isDead(root, owner, own))) living.add(owner);
    else await rm(join(root, OWNERS, owner), { force: true });
  }
  return names.filter((name) => {
    const owner = ownerOf(name);
    return owner !== null && !living.has(owner);
  });
}

/** Extracts the name of the owning process from the name of a temporary file; null if the file name contains none. */
function ownerOf(name: string): string | null {
  return name.includes('~') ? name.slice(0, name.indexOf('~')) : null;
}

async function isDead(root: string, owner: string, own: string): Promise<boolean> {
  const [machine, pid] = owner.split('.');
  if (machine === own.split('.')[0] && (Number(pid) === process.pid || !isRunning(Number(pid)))) return true;
  const stats = await stat(join(root, OWNERS, owner)).catch(() => null);
  return stats === null || Date.now() - stats.mtimeMs > SILENT_MS;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
