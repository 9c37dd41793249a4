import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createClient, ConnectionError, waitForJob } from '../../../openapi/clients/typescript/src/index.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const job = (state: string): Response => Response.json({ id: 'job_1', state, error: null });
const lost = (): never => {
  throw new TypeError('fetch failed');
};

/** Waits for a job of a service that gives these answers to polls and has no streams. */
async function wait(...answers: (() => Response)[]): Promise<{ result: unknown; polls: number; waitedMs: number }> {
  let polls = 0;
  const fetch: typeof globalThis.fetch = async () => answers[polls++]!();
  const client = createClient({
    baseUrl: 'http://readapt.test',
    apiKey: 'rdp_test',
    fetch,
    retries: { maxElapsedMs: 0 },
  });
  const started = Date.now();
  const waiting = waitForJob({ client, id: 'job_1', transport: 'poll' }).catch((error: unknown) => error);
  await vi.runAllTimersAsync();
  return { result: await waiting, polls, waitedMs: Date.now() - started };
}

test('waits on while the service cannot be reached', async () => {
  const { result } = await wait(
    () => job('queued'),
    lost,
    () => new Response('<html>', { status: 502 }),
    () => job('ready'),
  );
  expect(result).toMatchObject({ state: 'ready' });
});

test('does not wait for what it has never seen', async () => {
  const { result, polls } = await wait(lost, () => job('ready'));
  expect(result).toBeInstanceOf(ConnectionError);
  expect(polls).toBe(1);
});

test('asks less and less often while nothing changes', async () => {
  const unchanged = Array.from({ length: 20 }, () => () => new Response(null, { status: 304 }));
  const { polls, waitedMs } = await wait(
    () => job('queued'),
    ...unchanged,
    () => job('ready'),
  );
  expect(polls).toBe(22);
  expect(waitedMs).toBeGreaterThan(16 * 7_500);
  expect(waitedMs).toBeLessThan(21 * 15_000);
});
