import { setImmediate as nextRound, setTimeout as sleep } from 'node:timers/promises';

/** Most things that one query looks up. */
const MOST_TOGETHER = 1_000;
/** Most that are answered in one round of the event loop. Whoever is answered goes on at once, and nobody else is heard meanwhile. */
const ANSWERED_A_ROUND = 16;

interface Answer<T> {
  resolve(found: T | null): void;
  reject(error: unknown): void;
}

/**
 * Makes a function that looks one thing up by its name, with one query at a time for all who ask: who asks during a query waits for
 * the next one. So a crowd costs a few queries and one connection, whatever it asks for. After a query that has missed something the
 * next one waits for `pauseMs`; then who guesses names costs the database little, and nobody else is refused for it.
 */
export function lookUpTogether<T>(find: (names: string[]) => Promise<ReadonlyMap<string, T>>, pauseMs: number) {
  const waiting = new Map<string, Answer<T>[]>();
  let running = false;

  /** Answers some of those who wait. @returns whether each of them was found */
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
