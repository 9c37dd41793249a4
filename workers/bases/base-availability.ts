import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TryLaterError, WorkerFaultError, type QuarantineOptions } from '../../src/platform/queue/index.ts';
import type { StoredError } from '../../src/platform/contract/shown-error.ts';
import { backoff } from '../../src/lib/backoff.ts';
import { classifyFault, WORKER_FAULT } from '../faults/handler-faults.ts';

/** Base model version whose files a queue entry needs on this worker. */
export interface NeededBase {
  readonly id: string;
  readonly version: string;
  /** Folder on this worker in which the version's files are expected. */
  readonly path: string;
}

/** Thrown if a job needs a base that this worker cannot read but another worker may be able to read. */
export class BaseElsewhereError extends Error {
  /** Node's code for a missing file, which makes this error count as a fault of the machine. */
  readonly code = 'ENOENT';

  /** @param problem reason for which the base cannot be read (default: its folder is missing); waiting rows store it */
  constructor(
    readonly base: NeededBase,
    readonly problem: StoredError = folderMissing(base),
  ) {
    super(`the files of base model version ${base.version} are not on this worker`);
  }
}

function folderMissing({ version }: NeededBase): StoredError {
  const message =
    `no worker that has tried can read the folder of base model version ${version}: ` +
    'it has to be there, under the same path, on at least one worker';
  return { code: WORKER_FAULT, message };
}

/** Work of a queue entry, with the bases that it reads. */
export interface BaseUser {
  /** Identifier of the job, the rollout or the adapter version that the work is for. */
  readonly id: string;
  readonly bases: readonly NeededBase[];
  readonly signal: AbortSignal;
  /** Stores in the row of the job or the rollout why it has to wait. */
  note(problem: StoredError): Promise<void>;
}

interface Unreadable {
  /** Reason why the last attempt to read the base failed. */
  problem: StoredError;
  faults: number;
  /** Time of the first failed read since the base could last be read, in milliseconds of a monotonic clock. */
  since: number;
  /**
   * Time until which the worker leaves jobs with this base to others unless the folder is back, in milliseconds of a
   * monotonic clock.
   */
  until: number;
}

/** Base that could not be read, and the reason. */
interface Fault {
  readonly base: NeededBase;
  readonly problem: StoredError;
}

/** Delay for a queue entry whose base is unreadable, so that another worker takes it, in milliseconds. */
const OTHERS_MS = 1000;

/**
 * Pause before this worker puts an entry with an unreadable base back into the queue, so that it does not take and
 * return entries in a tight loop, in milliseconds.
 */
const PAUSE_MS = 200;

/**
 * Tracks the base model versions whose folders this worker cannot read, for example because they are not mounted on its
 * machine. The worker leaves the jobs of these versions to other workers, and runs the jobs of all other versions.
 */
export class BaseAvailability {
  readonly #unreadable = new Map<string, Unreadable>();
  /**
   * Jobs that this worker left to others after they had begun, by job id, each with the base that could not be read.
   */
  readonly #left = new Map<string, NeededBase>();
  readonly #firstMs: number;
  readonly #longestMs: number;
  readonly #onChange: () => void;

  constructor({ firstDelayMs = 5000, longestDelayMs = 300_000 }: QuarantineOptions = {}, onChange = () => {}) {
    this.#firstMs = firstDelayMs;
    this.#longestMs = longestDelayMs;
    this.#onChange = onChange;
  }

  /** Identifiers of the base model versions that this worker could not read at its last attempt. */
  get unreadable(): string[] {
    return [...this.#unreadable.keys()];
  }

  /**
   * Reason why this worker cannot read a base; null unless the base has been unreadable here for at least `ms`
   * milliseconds.
   */
  unreadableFor(id: string, ms: number): StoredError | null {
    const found = this.#unreadable.get(id);
    return found !== undefined && performance.now() - found.since >= ms ? found.problem : null;
  }

  /** Base that made this worker leave a job to others after the job had begun; null if it has not left this job. */
  leftFor(jobId: string): NeededBase | null {
    return this.#left.get(jobId) ?? null;
  }

  /** Identifiers of the jobs that this worker has left to others after they had begun. */
  get left(): string[] {
    return [...this.#left.keys()];
  }

  /**
   * Runs the work of a queue entry, unless this worker cannot read a base that it needs.
   * @throws TryLaterError if a base cannot be read; any error of `work`
   */
  async run(job: BaseUser, work: () => Promise<void>): Promise<void> {
    const known = await this.#known(job.bases);
    if (known !== null) {
      await sleep(Math.min(PAUSE_MS, this.#firstMs), undefined, { signal: job.signal }).catch(() => undefined);
      await this.#leave(job, this.#unreadable.get(known.id)?.problem ?? folderMissing(known));
    }
    try {
      await work();
    } catch (error) {
      const found = await this.#atFault(job, error);
      if (found === null) throw error;
      this.#remember(found);
      await this.#leave(job, found.problem);
    }
    this.#left.delete(job.id);
    if (job.bases.map(({ id }) => this.#unreadable.delete(id)).includes(true)) this.#onChange();
  }

  /** Finds the first base that could not be read a short time ago and still cannot; null if there is none. */
  async #known(bases: readonly NeededBase[]): Promise<NeededBase | null> {
    const recent = bases.filter(({ id }) => (this.#unreadable.get(id)?.until ?? 0) > performance.now());
    return firstUnreadable(recent);
  }

  /**
   * Finds the base that made an attempt fail because it could not be read; null if the attempt failed for another
   * reason.
   */
  async #atFault({ id, bases }: BaseUser, error: unknown): Promise<Fault | null> {
    if (!(classifyFault(error) instanceof WorkerFaultError)) return null;
    const elsewhere = [error, error instanceof Error ? error.cause : null].find(
      (at) => at instanceof BaseElsewhereError,
    );
    if (elsewhere === undefined) {
      const base = await firstUnreadable(bases);
      return base && { base, problem: folderMissing(base) };
    }
    this.#left.set(id, elsewhere.base);
    return elsewhere;
  }

  #remember({ base: { id }, problem }: Fault): void {
    const before = this.#unreadable.get(id);
    const faults = (before?.faults ?? 0) + 1;
    const ms = backoff(this.#firstMs, faults, this.#longestMs);
    const now = performance.now();
    this.#unreadable.set(id, { problem, faults, since: before?.since ?? now, until: now + ms });
    this.#onChange();
  }

  async #leave(job: BaseUser, problem: StoredError): Promise<never> {
    await job.note(problem);
    throw new TryLaterError(problem.message, Math.min(OTHERS_MS, this.#firstMs));
  }
}

async function firstUnreadable(bases: readonly NeededBase[]): Promise<NeededBase | null> {
  for (const base of bases) if (!(await isReadable(base))) return base;
  return null;
}

/** Whether this worker can read a base, judged by the model's `config.json` in the base's folder. */
export function isReadable({ path: folder }: NeededBase): Promise<boolean> {
  return access(path.join(folder, 'config.json'), constants.R_OK).then(
    () => true,
    () => false,
  );
}
