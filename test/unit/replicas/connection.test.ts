import { expect, test } from 'vitest';
import type { Send } from '../../../src/platform/outgoing/post.ts';
import { connectToEngine } from '../../../src/delivery/replicas/engines/connection.ts';

/** Sends a request to an engine that gives this answer. */
function connectTo(answer: (headers: Readonly<Record<string, string>>) => { status: number; body: string }) {
  const send: Send = ({ headers }) => Promise.resolve({ ...answer(headers), retryAfterMs: null, latencyMs: 1 });
  const address = { url: 'http://engine', apiKey: 'hunter2', servingName: 'base' };
  return connectToEngine(address, { get: send, post: send, signal: new AbortController().signal });
}

test('an error does not show the key that an engine repeats', async () => {
  const { get } = connectTo(({ authorization }) => ({ status: 401, body: `unknown: ${authorization}` }));
  await expect(get('/v1/models')).rejects.toThrow('/v1/models answered 401: unknown: Bearer [api_key]');
});

test.each([
  ['NUL character', 'out of \0 memory', 'out of \ufffd memory'],
  ['half of a character', `${'x'.repeat(299)}😀`, `${'x'.repeat(299)}\ufffd…`],
])('an error shows no %s of an answer, which PostgreSQL could not store', async (_what, body, shown) => {
  const { get } = connectTo(() => ({ status: 500, body }));
  await expect(get('/v1/models')).rejects.toMatchObject({ message: `/v1/models answered 500: ${shown}` });
});
