import { setImmediate as nextRound, setTimeout as sleep } from 'node:timers/promises';

/** Largest number of names in one query. */
const MOST_TOGETHER = 1_000;
/**
 * Largest number of callers that are answered in one round of the event loop. Each caller continues at once, and
 * nothing else runs in the meantime.
 */
const ANSWERED_A_ROUND = 16;

interface Answer<T> {
  resolve(found: T | null): void;
  reject(error: unknown): void;
}

/**
 * Batches lookups by name. One query runs at a time, and callers that arrive during it share the next one, so a burst
 * of lookups costs a few queries and one connection. After a query that did not find every name, the next one waits for
 * `pauseMs`, so that a client that guesses names costs the database little.
 */
export function lookUpTogether<T>(find: (names: string[]) => Promise<ReadonlyMap<string, T>>, pauseMs: number) {
  const waiting = new Map<string, Answer<T>[]>();
  let running = false;

  /**
   * Answers a batch of waiting callers.
   * @returns whether all of their names were found
   */
  async function answerSome(): Promise<boolean> {
    const batch = [...waiting].slice(0, MOST_TOGETHER);
    for (const [name] of batch) waiting.delete(name);
    try {
      const found = await find(batch.map(([name]) => name));
      const asked = batch.flatMap(([name, answers]) => answers.map(({ resolve }) => ({ name, resolve })));
      for (const [index, { name, resolve }] of asked.entries()) {
        if (index > 0 && index % ANSWERED_A_ROUND === 0) await nextRound();
        resolve(found.get(name) ?? null);
      }
      return batch.every(([name]) => found.has(name));
    } catch (error) {
      for (const [, answers] of batch) for (const { reject } of answers) reject(error);
      return true;
    }
  }

  async function answerAll(): Promise<void> {
    running = true;
    while (waiting.size > 0) {
      const foundAll = await answerSome();
      if (!foundAll) await sleep(pauseMs, undefined, { ref: false });
    }
    running = false;
  }

  return (name: string): Promise<T | null> =>
    new Promise((resolve, reject) => {
      const answers = waiting.get(name) ?? [];
      answers.push({ resolve, reject });
      waiting.set(name, answers);
      if (!running) void answerAll();
    });
}
