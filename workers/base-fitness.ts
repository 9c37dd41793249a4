import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TryLaterError, WorkerFaultError, type QuarantineOptions } from '../src/platform/queue/index.ts';
import type { StoredError } from '../src/platform/contract/shown-error.ts';
import { machineFaultOf, WORKER_FAULT } from './handler-faults.ts';

/** A base model version that a queue job needs. */
export interface NeededBase {
  readonly id: string;
  readonly version: string;
  /** Its folder on this worker. */
  readonly path: string;
}

/** A job needs a base that this worker cannot read, and another worker may. */
export class BaseElsewhereError extends Error {
  /** As of a file that is not there: the fault is the machine's. */
  readonly code = 'ENOENT';

  /** @param problem why, for the row that waits; by default that the folder is not there */
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

/** A queue job, as far as the bases that it needs. */
export interface BaseUser {
  /** Of the row of the job, the rollout or the version. */
  readonly id: string;
  readonly bases: readonly NeededBase[];
  readonly signal: AbortSignal;
  /** Says in the row of the job or the rollout why it waits. */
  note(problem: StoredError): Promise<void>;
}

interface Unreadable {
  /** Why it could not be read the last time. */
  problem: StoredError;
  faults: number;
  /** When it could not be read first, with no success since. */
  since: number;
  /** Until then the worker leaves jobs with this base to others, unless the folder is there again. */
  until: number;
}

/** A base that could not be read, and why. */
interface Fault {
  readonly base: NeededBase;
  readonly problem: StoredError;
}

/** How long a job with an unreadable base stays in the queue for others, in milliseconds. */
const OTHERS_MS = 1000;

/** How long this worker waits before it puts such a job back, so that it does not go through a whole queue. */
const PAUSE_MS = 200;

/**
 * Remembers the base model versions whose folders this worker cannot read, for example because they are not mounted on its
 * machine. It leaves their jobs to other workers and runs those of other bases.
 */
export class BaseFitness {
  readonly #unreadable = new Map<string, Unreadable>();
  /** What this worker has left to others for a base that only they may read. */
  readonly #left = new Map<string, NeededBase>();
  readonly #firstMs: number;
  readonly #longestMs: number;
  readonly #onChange: () => void;

  constructor({ firstDelayMs = 5000, longestDelayMs = 300_000 }: QuarantineOptions = {}, onChange = () => {}) {
    this.#firstMs = firstDelayMs;
    this.#longestMs = longestDelayMs;
    this.#onChange = onChange;
  }

  /** Identifiers of the base model versions that could not be read. */
  get unreadable(): string[] {
    return [...this.#unreadable.keys()];
  }

  /** Why this worker has not been able to read a base for so many milliseconds; null if it has, or has not tried for so long. */
  unreadableFor(id: string, ms: number): StoredError | null {
    const found = this.#unreadable.get(id);
    return found !== undefined && performance.now() - found.since >= ms ? found.problem : null;
  }

  /** The base for which this worker has left a job to others, after it had begun it; null if it has not. */
  leftFor(jobId: string): NeededBase | null {
    return this.#left.get(jobId) ?? null;
  }

  /** Identifiers of the jobs that were left so. */
  get left(): string[] {
    return [...this.#left.keys()];
  }

  /**
   * Runs the work of a queue job, unless this worker cannot read a base that it needs.
   * @throws TryLaterError if it cannot; any error of `work`
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

  /** The first of the bases that could not be read a short time ago, and still cannot. */
  async #known(bases: readonly NeededBase[]): Promise<NeededBase | null> {
    const recent = bases.filter(({ id }) => (this.#unreadable.get(id)?.until ?? 0) > performance.now());
    return firstUnreadable(recent);
  }

  /** The base that a failed attempt could not read; null if something else is wrong. */
  async #atFault({ id, bases }: BaseUser, error: unknown): Promise<Fault | null> {
    const isFault = error instanceof WorkerFaultError || machineFaultOf(error) !== null;
    if (!isFault) return null;
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
    const ms = Math.min(this.#longestMs, this.#firstMs * 2 ** Math.min(30, faults - 1));
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

/** A folder in which the model's config cannot be read counts as unreadable. */
export function isReadable({ path: folder }: NeededBase): Promise<boolean> {
  return access(path.join(folder, 'config.json'), constants.R_OK).then(
    () => true,
    () => false,
  );
}
