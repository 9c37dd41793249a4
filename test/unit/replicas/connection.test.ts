import { expect, test } from 'vitest';
import type { Send } from '../../../src/lib/outgoing/post.ts';
import { connect } from '../../../src/modules/replicas/engines/connection.ts';

test('an error does not show the key that an engine repeats', async () => {
  const send: Send = ({ headers }) =>
    Promise.resolve({ status: 401, body: `unknown: ${headers.authorization}`, retryAfterMs: null, latencyMs: 1 });
  const address = { url: 'http://engine', apiKey: 'hunter2', servingName: 'base' };
  const { signal } = new AbortController();
  const { get } = connect(address, { get: send, post: send, signal });
  await expect(get('/v1/models')).rejects.toThrow('/v1/models answered 401: unknown: Bearer [api_key]');
});
