import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ConnectionError } from '../../../openapi/clients/typescript/src/errors.ts';
import { DEFAULT_RETRIES, retryingFetch } from '../../../openapi/clients/typescript/src/retries.ts';

const URL = 'http://readapt.test/v1/rollouts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Answer = Response | Error;

/** `fetch` that returns these answers in turn and records its requests. */
function scripted(...answers: Answer[]): { fetch: typeof fetch; asked: Request[]; bodies: string[] } {
  const asked: Request[] = [];
  const bodies: string[] = [];
  const fetch = async (input: Parameters<typeof globalThis.fetch>[0]): Promise<Response> => {
    asked.push(input as Request);
    bodies.push(await (input as Request).text());
    const answer = answers[asked.length - 1]!;
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { fetch, asked, bodies };
}

function problem(status: number, code: string, headers: Record<string, string> = {}): Response {
  const body = JSON.stringify({ status, code, detail: code });
  return new Response(body, {
    status,
    headers: { 'content-type': 'application/problem+json; charset=utf-8', ...headers },
  });
}

/** Result of the work after all its timers have run out, with the time waited. */
async function settled<T>(work: Promise<T>): Promise<{ result: T | Error; waitedMs: number }> {
  const started = Date.now();
  const result = work.catch((error: Error) => error);
  await vi.runAllTimersAsync();
  return { result: await result, waitedMs: Date.now() - started };
}

const send = (script: { fetch: typeof fetch }, init: RequestInit = { method: 'POST', body: '{"a":1}' }) =>
  retryingFetch(script.fetch, DEFAULT_RETRIES)(URL, init);

const lost = new TypeError('fetch failed', { cause: new Error('read ECONNRESET') });

test('sends a POST with the same key and body until it is answered', async () => {
  const script = scripted(lost, problem(502, 'bad_gateway'), problem(503, 'unavailable'), new Response('{}'));
  const { result } = await settled(send(script));
  expect(result).toMatchObject({ status: 200 });
  const keys = script.asked.map(({ headers }) => headers.get('idempotency-key'));
  expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
  expect(keys).toEqual(Array(4).fill(keys[0]));
  expect(script.bodies).toEqual(Array(4).fill('{"a":1}'));
});

test('keeps the key that a request has, and gives none to other methods', async () => {
  const own = scripted(new Response('{}'));
  await send(own, { method: 'POST', headers: { 'Idempotency-Key': 'mine' } });
  expect(own.asked[0]!.headers.get('idempotency-key')).toBe('mine');
  const put = scripted(lost, new Response('{}'));
  expect((await settled(send(put, { method: 'PUT' }))).result).toMatchObject({ status: 200 });
  expect(put.asked[1]!.headers.has('idempotency-key')).toBe(false);
});

test('counts an answer that is cut off in the middle as a fault', async () => {
  const cut = new ReadableStream({ pull: (controller) => controller.error(lost) });
  const json = { headers: { 'content-type': 'application/json' } };
  const script = scripted(new Response(cut, json), new Response('{"id":1}', json));
  const { result } = await settled(send(script));
  expect(await (result as Response).json()).toEqual({ id: 1 });
});

test.each([
  ['429 after the time that it names', problem(429, 'rate_limited', { 'retry-after': '7' }), 7000],
  ['a request that is still at work', problem(409, 'idempotency_in_progress', { 'retry-after': '1' }), 1000],
  ['503 after a delay of its own', problem(503, 'unavailable'), 150],
])('repeats %s', async (_what, refusal, leastMs) => {
  const { result, waitedMs } = await settled(send(scripted(refusal, new Response('{}'))));
  expect(result).toMatchObject({ status: 200 });
  expect(waitedMs).toBeGreaterThanOrEqual(leastMs);
  expect(waitedMs).toBeLessThanOrEqual(leastMs + 300);
});

test.each([
  ['a conflict', problem(409, 'rollout_exists')],
  ['what only the operator can mend', problem(503, 'secret_key_missing')],
  ['an error of the service', problem(500, 'internal')],
])('does not repeat %s', async (_what, refusal) => {
  const script = scripted(refusal);
  expect((await settled(send(script))).result).toMatchObject({ status: refusal.status });
  expect(script.asked).toHaveLength(1);
});

test('gives up when its time is over, and says why', async () => {
  const script = scripted(...Array<Answer>(100).fill(lost));
  const { result, waitedMs } = await settled(send(script));
  expect(result).toBeInstanceOf(ConnectionError);
  expect((result as Error).message).toMatch(/^POST \/v1\/rollouts got no answer in \d+ attempts: read ECONNRESET$/);
  expect(waitedMs).toBeGreaterThan(DEFAULT_RETRIES.maxElapsedMs - DEFAULT_RETRIES.maxDelayMs);
  expect(waitedMs).toBeLessThanOrEqual(DEFAULT_RETRIES.maxElapsedMs);
});

test('gives the last refusal when the service asks to wait for longer', async () => {
  const { result, waitedMs } = await settled(send(scripted(problem(429, 'rate_limited', { 'retry-after': '3600' }))));
  expect(result).toMatchObject({ status: 429 });
  expect(waitedMs).toBe(0);
});

test('stops at once when its signal is aborted', async () => {
  const stop = new AbortController();
  const script = scripted(lost, lost);
  const sending = send(script, { method: 'GET', signal: stop.signal });
  const result = sending.catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(100);
  stop.abort('enough');
  expect(await result).toBe('enough');
  expect(script.asked).toHaveLength(1);
});

test('makes the least number of attempts, however long each of them takes', async () => {
  const long = { ...DEFAULT_RETRIES, leastAttempts: 5 };
  const slow = (answer: Answer) => () =>
    new Promise<Response>((resolve, reject) =>
      setTimeout(() => (answer instanceof Error ? reject(answer) : resolve(answer)), 100_000),
    );
  const answers = [lost, problem(502, 'bad_gateway'), lost, problem(504, 'late'), new Response('{}'), lost].map(slow);
  const fetch = vi.fn(() => answers[fetch.mock.calls.length - 1]!());
  const { result } = await settled(retryingFetch(fetch, long)(URL, { method: 'PUT', body: 'x' }));
  expect(result).toMatchObject({ status: 200 });
  expect(fetch).toHaveBeenCalledTimes(5);

  const failing = vi.fn(() => slow(lost)());
  expect((await settled(retryingFetch(failing, long)(URL))).result).toBeInstanceOf(ConnectionError);
  expect(failing).toHaveBeenCalledTimes(5);
  const once = vi.fn(() => slow(lost)());
  await settled(retryingFetch(once, { ...long, maxElapsedMs: 0 })(URL));
  expect(once).toHaveBeenCalledTimes(1);
});
