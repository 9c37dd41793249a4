import { afterEach, expect, test } from 'vitest';
import { createClaimLoop, type Claimable, type ClaimLoop, type ClaimLoopOptions } from '../../../src/lib/claim-loop.ts';

let loop: ClaimLoop | undefined;
afterEach(() => loop?.stop());

const logger = { warn: () => undefined };
const many = (owner: string, count: number): Claimable[] =>
  Array.from({ length: count }, (_, index) => ({ id: `${owner}-${index}`, owner }));

function start(options: Pick<ClaimLoopOptions, 'candidates' | 'run'> & Partial<ClaimLoopOptions>): ClaimLoop {
  loop = createClaimLoop({ what: 'a test', logger, intervalMs: 1, ...options });
  loop.start();
  return loop;
}

/** Work that ends on command. */
function createWork() {
  const running = new Map<string, () => void>();
  return {
    running,
    run: ({ id }: Claimable) => new Promise<void>((resolve) => running.set(id, resolve)),
    endAll: () => running.forEach((end) => end()),
  };
}

test('one owner takes four of the places, and all take sixteen', async () => {
  const work = createWork();
  const waiting = [...many('busy', 50), ...many('a', 3), ...many('b', 4), ...many('c', 4)];
  start({ candidates: () => Promise.resolve(waiting), run: work.run });
  await expect.poll(() => work.running.size).toBe(15);
  const started = [...work.running.keys()];
  expect(started.filter((id) => id.startsWith('busy'))).toHaveLength(4);
  waiting.push(...many('e', 4));
  await expect.poll(() => work.running.size).toBe(16);
  work.endAll();
  waiting.length = 0;
});

test('what fails is logged and looked for again, and nothing else suffers', async () => {
  const warned: string[] = [];
  let looks = 0;
  let runs = 0;
  start({
    logger: { warn: (_about: unknown, message?: string) => void warned.push(message ?? '') },
    candidates: () => (looks++ === 0 ? Promise.reject(new Error('away')) : Promise.resolve(many('a', 1))),
    run: () => (runs++ === 0 ? Promise.reject(new Error('broken')) : Promise.resolve()),
  });
  await expect.poll(() => runs).toBeGreaterThan(2);
  expect(warned).toEqual([
    'what waits for a test could not be looked for',
    'a test was interrupted; it is tried again',
  ]);
});

test('a stop begins nothing more, waits for what runs, and cuts it off after the grace time', async () => {
  const begun: string[] = [];
  const ended: string[] = [];
  const stopped = start({
    graceMs: 20,
    candidates: () => Promise.resolve(many('a', 2)),
    run: ({ id }, { signal, isStopping }) => {
      begun.push(id);
      return new Promise((resolve) =>
        signal.addEventListener('abort', () => {
          ended.push(`${id} stopping: ${String(isStopping())}`);
          resolve();
        }),
      );
    },
  });
  await expect.poll(() => begun).toEqual(['a-0', 'a-1']);
  expect(ended).toEqual([]);
  await stopped.stop();
  expect(ended).toEqual(['a-0 stopping: true', 'a-1 stopping: true']);
  expect(begun).toHaveLength(2);
});
