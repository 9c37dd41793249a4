import { AppError } from '../../../platform/contract/errors.ts';

/** Most works of one owner that wait. Each has its files on disk already. */
const MOST_WAITING = 64;

type InTurn = <T>(owner: string, work: () => Promise<T>) => Promise<T>;

/**
 * Runs at most `atOnce` works at a time and one of each owner, whose works come in their order. Owners take turns, so
 * that one with many works, or slow ones, delays the others by one work at most.
 *
 * The returned function throws AppError 429 `too_many_inspections` where too many works of the owner wait.
 */
export function createTurns(atOnce: number): InTurn {
  const running = new Set<string>();
  /** The owners in the order of their turns, with the starts of their waiting works. */
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
