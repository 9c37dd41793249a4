import { AppError } from '../../../platform/contract/errors.ts';

/**
 * Largest number of inspections of one owner that may wait. Their number is limited because the files of each waiting
 * inspection already take up disk space.
 */
const MOST_WAITING = 64;

type InTurn = <T>(owner: string, work: () => Promise<T>) => Promise<T>;

/**
 * Creates a function that runs tasks of several owners: at most `atOnce` at a time, and at most one of each owner.
 * Tasks of one owner run in the order of their arrival. Owners take turns, so an owner with many or slow tasks delays
 * each other owner by one task at most.
 *
 * The returned function throws AppError 429 `too_many_inspections` if too many tasks of the owner wait already.
 */
export function createTurns(atOnce: number): InTurn {
  const running = new Set<string>();
  /** Functions that start the waiting tasks, by the owner of the tasks. Owners are in the order of their turns. */
  const waiting = new Map<string, (() => void)[]>();

  function startNext(): void {
    for (const [owner, [start, ...others]] of waiting) {
      if (running.size >= atOnce) return;
      if (running.has(owner)) continue;
      waiting.delete(owner);
      if (others.length > 0) waiting.set(owner, others);
      running.add(owner);
      start!();
    }
  }

  return async (owner, work) => {
    const before = waiting.get(owner) ?? [];
    if (before.length >= MOST_WAITING) throw tooMany();
    await new Promise<void>((resolve) => {
      waiting.set(owner, [...before, resolve]);
      startNext();
    });
    try {
      return await work();
    } finally {
      running.delete(owner);
      startNext();
    }
  };
}

function tooMany(): AppError {
  return new AppError({
    code: 'too_many_inspections',
    status: 429,
    message:
      `${MOST_WAITING} adapters of this tenant wait to be checked already: send ` +
      'the next ones when these are answered',
    details: { retry_after_ms: 1000 },
  });
}
