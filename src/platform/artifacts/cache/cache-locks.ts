import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLockFile, dropLockFile } from '../../../../core/formats/lock-file.ts';
import { joinOwners, ofDeadOwners } from '../scratch.ts';

const POLL_MS = 200;
const HELD = 'held';

/** Heartbeat interval of a lock or mark file, in milliseconds. */
const BEAT_MS = 5000;
/** Time without a heartbeat after which the process of a lock or mark counts as dead, in milliseconds. */
const SILENT_MS = 60_000;

/**
 * Lock and mark files by which processes share a cache. A process holds a lock while it fetches or removes an entry of
 * the cache, and a mark while it uses an entry. Each file names its process. The file of a dead process of this machine
 * is ignored at once. The file of a dead process of another machine, or of a restarted container, is ignored after a
 * minute without a heartbeat.
 */
export class CacheLocks {
  readonly #root: string;
  #own: Promise<string> | null = null;

  constructor(root: string) {
    this.#root = root;
  }

  /**
   * Waits for the lock `name`, and runs `work` while holding it.
   * @throws the signal's reason if the signal aborts during the wait
   */
  async with<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    for (;;) {
      const unlock = await this.#tryLock(name);
      if (unlock !== null) return unlockAfter(work, unlock);
      signal.throwIfAborted();
      await this.#dropIfDead(this.#fileOf(name));
      await sleep(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  /**
   * Runs `work` while holding the lock `name`, if the lock is free.
   * @returns undefined, without running `work`, if another process holds the lock
   */
  async tryWith<T>(name: string, work: () => Promise<T>): Promise<T | undefined> {
    const unlock = await this.#tryLock(name);
    return unlock === null ? undefined : unlockAfter(work, unlock);
  }

  /** Whether a living process has an entry's lock. The lock of a dead process is removed. */
  async isLocked(name: string): Promise<boolean> {
    const file = this.#fileOf(name);
    if (!(await isThere(file))) return false;
    await this.#owner();
    await this.#dropIfDead(file);
    return isThere(file);
  }

  /** Marks an entry as used by this process, until the returned function is called. */
  async hold(key: string): Promise<() => Promise<void>> {
    const folder = path.join(this.#root, HELD);
    await mkdir(folder, { recursive: true });
    const file = path.join(folder, `${await this.#owner()}${key}.${randomUUID()}`);
    await writeFile(file, '');
    const stop = keepAlive(file);
    return () => {
      stop();
      return rm(file, { force: true });
    };
  }

  /** Lists the keys that living processes have marked as used, and removes the marks of dead processes. */
  async held(): Promise<ReadonlySet<string>> {
    const folder = path.join(this.#root, HELD);
    await this.#owner();
    const names = await readdir(folder).catch((): string[] => []);
    const dead = new Set(await ofDeadOwners(this.#root, names));
    for (const name of names) if (await isSilent(path.join(folder, name))) dead.add(name);
    for (const name of dead) await rm(path.join(folder, name), { force: true });
    return new Set(
      names.filter((name) => !dead.has(name)).map((name) => name.slice(name.indexOf('~') + 1).split('.')[0]!),
    );
  }

  #fileOf(name: string): string {
    return path.join(this.#root, `${name}.lock`);
  }

  /** Takes the lock of an entry if it is free. @returns a function that releases the lock; null if it is taken */
  async #tryLock(name: string): Promise<(() => Promise<void>) | null> {
    const file = this.#fileOf(name);
    const mine = `${await this.#owner()}${randomUUID()}`;
    if (!(await createLockFile(file, mine))) return null;
    const stop = keepAlive(file);
    return async () => {
      stop();
      // Another process may have taken this one for dead, and hold the lock by now.
      if ((await readFile(file, 'utf8').catch(() => null)) === mine) await rm(file, { force: true });
    };
  }

  #owner(): Promise<string> {
    return (this.#own ??= joinOwners(this.#root));
  }

  async #dropIfDead(file: string): Promise<void> {
    const content = await readFile(file, 'utf8').catch(() => null);
    if (content === null) return;
    if (!(await isSilent(file)) && (await ofDeadOwners(this.#root, [content])).length === 0) return;
    await dropLockFile(file, content);
  }
}

function keepAlive(file: string): () => void {
  const timer = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => undefined);
  }, BEAT_MS).unref();
  return () => clearInterval(timer);
}

async function isSilent(file: string): Promise<boolean> {
  const stats = await stat(file).catch(() => null);
  return stats !== null && Date.now() - stats.mtimeMs > SILENT_MS;
}

async function unlockAfter<T>(work: () => Promise<T>, unlock: () => Promise<void>): Promise<T> {
  try {
    return await work();
  } finally {
    await unlock();
  }
}

const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );
