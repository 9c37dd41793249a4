import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { SourceError, type Sources } from '../../src/platform/base-sources/index.ts';
import { SETTINGS } from '../../src/platform/config/settings.ts';
import { TryLaterError } from '../../src/platform/queue/index.ts';
import type { Database } from '../../src/platform/database/database.ts';
import { backoff } from '../../src/lib/backoff.ts';
import type { Logger } from '../../src/lib/logger.ts';
import type { SecretBox } from '../../src/platform/config/secret-box.ts';
import type { NeededBase } from './base-availability.ts';
import type { BaseFileCache } from './base-file-cache.ts';
import type { FetchProgress } from './fetch-files.ts';
import { checkContent } from './check-content.ts';
import { fetchRepository } from './fetch.repository.ts';

/** Base model version whose files are in a folder, or are fetched from a source into the cache of each worker. */
export interface SourcedBase extends NeededBase {
  /** Folder name of the version in the cache; null if its files are not fetched but lie in the folder `path`. */
  readonly sourceKey: string | null;
}

/** Progress of the fetch of one base. */
export interface BaseFetch extends FetchProgress {
  readonly base: SourcedBase;
}

export interface FetchWait {
  readonly signal: AbortSignal;
  /** Longest time to wait for the fetches, in milliseconds. */
  readonly patienceMs: number;
  /** Called about once a second with the progress of the fetches. */
  readonly onProgress?: (fetches: readonly BaseFetch[]) => Promise<void>;
}

/** Thrown if a base cannot be fetched from its source. The message is for the operator. */
export class BaseNotFetchedError extends Error {
  constructor(
    readonly base: SourcedBase,
    readonly fault: SourceError,
  ) {
    super(`base model version ${base.version}: ${fault.message}`, { cause: fault });
    this.name = 'BaseNotFetchedError';
  }
}

/** Access to the files of bases on this worker's machine. */
export interface LocalBases {
  /** Returns the version with `path` set to its folder on this worker, whether or not its files are there. */
  readonly locate: <T extends { readonly path: string; readonly sourceKey: string | null }>(version: T) => T;
  /** Whether all of the bases are on this machine. */
  areHere(bases: readonly SourcedBase[]): Promise<boolean>;
  /** Protects the bases from eviction from the cache while `work` runs. */
  holding<T>(bases: readonly SourcedBase[], work: () => Promise<T>): Promise<T>;
  /**
   * Waits until the files of the bases are on this machine. The caller must protect the bases from eviction meanwhile.
   * A fetch continues for a while after its callers have stopped waiting.
   * @throws TryLaterError after `patienceMs`; BaseNotFetchedError; the signal's reason
   */
  fetch(bases: readonly SourcedBase[], wait: FetchWait): Promise<void>;
}

/** Implementation of {@link LocalBases} for workers that have no cache, because all their bases are in folders. */
export const FOLDERS_ONLY: LocalBases = {
  locate: (version) => version,
  areHere: () => Promise.resolve(true),
  holding: (_bases, work) => work(),
  fetch: () => Promise.resolve(),
};

export interface LocalBasesOptions {
  readonly db: Database;
  readonly cache: BaseFileCache;
  readonly sources: Sources;
  /** Decrypts the access tokens of sources; null if no secret key is configured. */
  readonly box: SecretBox | null;
  readonly logger: Logger;
  /** Number of files of a base that are fetched in parallel. */
  readonly streams: number;
  /** First delay before a failed source is tried again, in milliseconds. Default: five seconds. */
  readonly firstDelayMs?: number;
}

interface Task {
  readonly done: Promise<void>;
  readonly abort: AbortController;
  progress: FetchProgress;
  /** Time at which the fetch is aborted unless another caller waits for it. */
  wantedUntil: number;
}

/**
 * Time that a fetch continues without a waiting caller, for example after its rollout was cancelled, in milliseconds.
 */
const UNWANTED_MS = 60_000;
const TICK_MS = 1000;
const LONGEST_DELAY_MS = 300_000;
const NOTHING: FetchProgress = { done: 0, total: 0, file: null };

/** Fetches bases from their sources into the cache of this machine. Close it before the worker's database. */
export class FetchedBases implements LocalBases {
  readonly #options: LocalBasesOptions;
  readonly #tasks = new Map<string, Task>();
  readonly #failed = new Map<string, { fault: SourceError; times: number; until: number }>();

  constructor(options: LocalBasesOptions) {
    this.#options = options;
  }

  readonly locate = <T extends { readonly path: string; readonly sourceKey: string | null }>(version: T): T => {
    const { sourceKey } = version;
    return sourceKey === null ? version : { ...version, path: this.#options.cache.folderOf(sourceKey) };
  };

  async areHere(bases: readonly SourcedBase[]): Promise<boolean> {
    return (await this.#missing(bases)).length === 0;
  }

  async holding<T>(bases: readonly SourcedBase[], work: () => Promise<T>): Promise<T> {
    const releases: (() => Promise<void>)[] = [];
    try {
      for (const { sourceKey } of bases) {
        if (sourceKey !== null) releases.push(await this.#options.cache.hold(sourceKey));
      }
      return await work();
    } finally {
      await Promise.all(releases.map((release) => release().catch(() => undefined)));
    }
  }

  async fetch(bases: readonly SourcedBase[], wait: FetchWait): Promise<void> {
    const missing = await this.#missing(bases);
    const begun = performance.now();
    const seen = new Map<string, BaseFetch>();
    for (const base of missing) {
      const report = async (progress: FetchProgress): Promise<void> => {
        seen.set(base.id, { base, ...progress });
        await wait.onProgress?.([...seen.values()]);
      };
      await this.#await(base, { ...wait, patienceMs: wait.patienceMs - (performance.now() - begun) }, report);
    }
  }

  /** Aborts all fetches. The next worker that needs a base continues its fetch. */
  async close(): Promise<void> {
    const tasks = [...this.#tasks.values()];
    for (const { abort } of tasks) abort.abort(new Error('the worker is stopping'));
    await Promise.all(tasks.map(({ done }) => done.catch(() => undefined)));
  }

  async #missing(bases: readonly SourcedBase[]): Promise<(SourcedBase & { sourceKey: string })[]> {
    const missing: (SourcedBase & { sourceKey: string })[] = [];
    for (const base of bases) {
      const { sourceKey } = base;
      if (sourceKey !== null && !(await this.#options.cache.has(sourceKey))) missing.push({ ...base, sourceKey });
    }
    return missing;
  }

  async #await(
    base: SourcedBase & { sourceKey: string },
    { signal, patienceMs }: FetchWait,
    report: (progress: FetchProgress) => Promise<void>,
  ): Promise<void> {
    const task = this.#taskOf(base);
    const deadline = performance.now() + patienceMs;
    const done = task.done.then(() => true);
    // The fetch may fail after this caller has stopped waiting.
    done.catch(() => undefined);
    for (;;) {
      task.wantedUntil = performance.now() + UNWANTED_MS;
      const tick = sleep(Math.max(1, Math.min(TICK_MS, deadline - performance.now())), false, { signal });
      const isDone = await Promise.race([done, tick.catch(() => false)]).catch((error: unknown) => {
        throw error instanceof SourceError ? new BaseNotFetchedError(base, error) : error;
      });
      signal.throwIfAborted();
      await report(task.progress);
      if (isDone) return;
      if (performance.now() >= deadline) throw new TryLaterError(fetchingText(base, task.progress), TICK_MS);
    }
  }

  #taskOf(base: SourcedBase & { sourceKey: string }): Task {
    const key = base.sourceKey;
    const running = this.#tasks.get(key);
    if (running !== undefined) return running;
    const failed = this.#failed.get(key);
    if (failed !== undefined && failed.until > performance.now()) throw new BaseNotFetchedError(base, failed.fault);
    const abort = new AbortController();
    const task: Task = {
      abort,
      progress: NOTHING,
      wantedUntil: performance.now() + UNWANTED_MS,
      done: Promise.resolve().then(() => this.#run(base, task)),
    };
    this.#tasks.set(key, task);
    // This only removes the task. Waiting callers get the error themselves.
    task.done
      .catch(() => undefined)
      .finally(() => this.#tasks.delete(key))
      .catch(() => undefined);
    return task;
  }

  async #run(base: SourcedBase & { sourceKey: string }, task: Task): Promise<void> {
    const { cache, logger } = this.#options;
    const watch = setInterval(() => {
      if (performance.now() > task.wantedUntil) task.abort.abort(new Error('nobody waits for the base any longer'));
    }, TICK_MS);
    try {
      const release = await cache.hold(base.sourceKey);
      try {
        await this.#fetch(base, task);
      } finally {
        await release();
      }
      this.#failed.delete(base.sourceKey);
    } catch (error) {
      if (error instanceof SourceError) await this.#remember(base, error);
      else logger.warn({ err: error, baseModelVersionId: base.id }, 'fetch of a base model version ended');
      throw error;
    } finally {
      clearInterval(watch);
    }
  }

  async #fetch(base: SourcedBase & { sourceKey: string }, task: Task): Promise<void> {
    const { db, cache, sources, streams, logger } = this.#options;
    const row = await fetchRepository.source(db, base.id);
    if (row === null) throw new SourceError('source_not_found', `base model version ${base.id} has no source any more`);
    const { source, files } = row;
    const begun = performance.now();
    const announced: Promise<void>[] = [];
    const onProgress = (progress: FetchProgress): void => {
      task.progress = progress;
      if (announced.length === 0) announced.push(this.#announce(base, progress));
    };
    const { signal } = task.abort;
    const options = {
      sources,
      source,
      token: this.#token(base, row.sealedToken),
      signal,
      streams,
      onProgress,
      check: (folder: string, hashes: ReadonlyMap<string, string>) =>
        checkContent({ db, base, folder, hashes, signal }),
    };
    const hashes = await cache.fetch({ key: base.sourceKey, files }, options);
    if (hashes === null) return;
    await Promise.all(announced);
    const data = { host: os.hostname(), bytes_total: task.progress.total, fetch_ms: performance.now() - begun };
    await fetchRepository.record(db, { ...about(base), type: 'base_model_version.fetched', data });
    logger.info(
      { baseModelVersionId: base.id, bytes: data.bytes_total, ms: data.fetch_ms },
      'base model version fetched',
    );
  }

  async #announce(base: SourcedBase, { done, total }: FetchProgress): Promise<void> {
    const { db, logger } = this.#options;
    const data = { host: os.hostname(), bytes_done: done, bytes_total: total };
    await fetchRepository
      .record(db, { ...about(base), type: 'base_model_version.fetching', data })
      .catch((error: unknown) => logger.warn({ err: error }, 'the beginning of a fetch could not be recorded'));
  }

  /**
   * Decrypts the access token of a base's source; null if the source needs none.
   * @throws SourceError if the key that encrypted the token is missing
   */
  #token({ id, version }: SourcedBase, sealed: string | null): string | null {
    if (sealed === null) return null;
    const token = this.#options.box?.open(sealed, id) ?? null;
    if (token !== null) return token;
    const message =
      `the token of base model version ${version} cannot be opened: ` +
      `${SETTINGS.secretKeys.variable} of this worker has to be that of the API`;
    throw new SourceError('source_unauthorized', message);
  }

  async #remember({ id, sourceKey }: SourcedBase & { sourceKey: string }, fault: SourceError): Promise<void> {
    const { db, logger, firstDelayMs = 5000 } = this.#options;
    const times = (this.#failed.get(sourceKey)?.times ?? 0) + 1;
    const ms = Math.max(fault.retryAfterMs ?? 0, backoff(firstDelayMs, times, LONGEST_DELAY_MS));
    this.#failed.set(sourceKey, { fault, times, until: performance.now() + ms });
    logger.warn({ baseModelVersionId: id, code: fault.code, reason: fault.message }, 'base model version not fetched');
    const error = { code: fault.code, message: fault.message };
    const data = { host: os.hostname(), error };
    const event = { ...about({ id }), type: 'base_model_version.not_fetched' as const, data };
    await fetchRepository.record(db, event).catch(() => undefined);
  }
}

function about({ id: subjectId }: { readonly id: string }) {
  return { tenantId: null, subjectId };
}

function fetchingText({ version }: SourcedBase, { done, total }: FetchProgress): string {
  const share = total === 0 ? '' : `, ${Math.floor((100 * done) / total)} % of ${total} bytes`;
  return `a worker fetches the files of base model version ${version}${share}`;
}
