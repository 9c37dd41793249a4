import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  createClient,
  ConnectionError,
  waitForJob,
  waitForRollout,
} from '../../../openapi/clients/typescript/src/index.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const job = (state: string): Response => Response.json({ id: 'job_1', state, error: null });
const lost = (): never => {
  throw new TypeError('fetch failed');
};

/** Waits for a job with a service that gives these answers to polls and has no streams. */
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

const MINUTE_MS = 60_000;

/** Waits for a rollout with a service that has a stream of its events. */
function follow() {
  let state = 'adapting';
  let polls = 0;
  let send = (_text: string): void => undefined;
  const encoder = new TextEncoder();
  const stream = (): Response => {
    const start = (controller: ReadableStreamDefaultController): void => {
      send = (text) => controller.enqueue(encoder.encode(text));
      send('id: 5-0\n\n');
    };
    return new Response(new ReadableStream({ start }));
  };
  const fetch: typeof globalThis.fetch = async (input) => {
    if ((input as Request).url.endsWith('/stream')) return stream();
    polls += 1;
    return Response.json({ id: 'rol_1', state });
  };
  const client = createClient({ baseUrl: 'http://readapt.test', apiKey: 'rdp_test', fetch });
  return {
    waiting: waitForRollout({ client, id: 'rol_1' }),
    tell: (subject: string) => send(`id: 6-1\ndata: {"subject_id":"${subject}"}\n\n`),
    complete: () => void (state = 'completed'),
    pollsIn: async (ms: number): Promise<number> => {
      const before = polls;
      await vi.advanceTimersByTimeAsync(ms);
      return polls - before;
    },
  };
}

test('asks seldom once the stream has told of the rollout, and only when it tells of it again', async () => {
  const { waiting, tell, complete, pollsIn } = follow();
  await pollsIn(MINUTE_MS);
  tell('rol_1');
  expect(await pollsIn(1)).toBe(1);
  expect(await pollsIn(MINUTE_MS - 2)).toBe(0);
  tell('job_1');
  expect(await pollsIn(0)).toBe(0);
  complete();
  tell('rol_1');
  expect(await pollsIn(0)).toBe(1);
  expect((await waiting).state).toBe('completed');
});

test('asks when the stream tells only of jobs, and now and then without', async () => {
  const { waiting, tell, complete, pollsIn } = follow();
  await pollsIn(MINUTE_MS);
  tell('job_1');
  expect(await pollsIn(0)).toBe(1);
  complete();
  expect(await pollsIn(15_000)).toBe(1);
  expect((await waiting).state).toBe('completed');
});
