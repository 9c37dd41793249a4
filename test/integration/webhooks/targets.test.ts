import { createServer, type AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createAddressPolicy } from '../../../src/platform/outgoing/address-policy.ts';
import { createPost } from '../../../src/platform/outgoing/post.ts';
import { resolveByDns } from '../../../src/platform/outgoing/target.ts';
import { PATIENCE_MS } from '../../patience.ts';
import { createWebhookWorld, type WebhookWorld } from './webhook-world.ts';

let world: WebhookWorld;
beforeAll(async () => {
  world = await createWebhookWorld();
});
afterEach(() => world.reset());
afterAll(() => world.close());

const LOOPBACK = createAddressPolicy(['127.0.0.1/32']);
const request = (url: string) => ({ url, body: '{}', headers: {} });
const named = (url: string, name: string): string => url.replace('127.0.0.1', name);

test('a redirect is not followed, wherever it leads', async () => {
  const [receiver, inner] = [await world.receiver(), await world.receiver()];
  receiver.answer = (_request, index) => ({
    status: [301, 302, 303, 307, 308][index] ?? 200,
    headers: { location: inner.url },
  });
  const { id } = await world.endpoint(receiver.url, { event_types: ['job.*'] });
  await world.record(world.acme.id, ['job.ready']);
  world.deliverer({ schedule: { delaysMs: [1, 1, 1, 1, 1], restMs: () => 0 } });
  await receiver.waitFor(6);
  await expect.poll(() => world.log(id)).toMatchObject([{ state: 'delivered', attempts: 6 }]);
  expect(inner.received).toEqual([]);
});

test('a name that resolves to an address that is not allowed is not called', async () => {
  const receiver = await world.receiver();
  const post = createPost({ policy: createAddressPolicy([]), resolve: () => Promise.resolve(['127.0.0.1', '::1']) });
  expect(await post(request(named(receiver.url, 'inner.example.com')))).toMatchObject({
    failure: 'no_allowed_address',
  });
  expect(receiver.received).toEqual([]);
});

test('a name is looked up once, and the connection goes to the address that was checked', async () => {
  const receiver = await world.receiver();
  let lookups = 0;
  // Attacker's name server: it first resolves to an allowed address and later to a forbidden one.
  const resolve = () => Promise.resolve([lookups++ === 0 ? '127.0.0.1' : '127.0.0.2']);
  const post = createPost({ policy: LOOPBACK, resolve });
  const url = named(receiver.url, 'rebinding.example.com');
  expect(await post(request(url))).toMatchObject({ status: 204 });
  expect(receiver.received[0]!.headers.host).toBe(new URL(url).host);
  expect(lookups).toBe(1);
  expect(await post(request(url))).toMatchObject({ failure: 'no_allowed_address' });
  expect(receiver.received).toHaveLength(1);
});

test('of several addresses, only one that is allowed is called', async () => {
  const receiver = await world.receiver();
  const resolve = () => Promise.resolve(['10.0.0.1', '127.0.0.1']);
  const post = createPost({ policy: LOOPBACK, resolve });
  expect(await post(request(named(receiver.url, 'mixed.example.com')))).toMatchObject({ status: 204 });
});

test('plain HTTP goes to allowed ranges only, whatever a name resolves to', async () => {
  const post = createPost({ policy: LOOPBACK, resolve: () => Promise.resolve(['1.1.1.1']) });
  expect(await post(request('http://public.example.com/'))).toMatchObject({ failure: 'no_allowed_address' });
});

test('name servers that do not answer, and servers that do not end, are given up in time', async () => {
  const receiver = await world.receiver();
  const never = (_name: string, signal: AbortSignal) =>
    new Promise<string[]>((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
  const silent = createPost({ policy: LOOPBACK, resolve: never, timeoutMs: 100 });
  expect(await silent(request('https://silent.example.com/'))).toMatchObject({ failure: 'timeout' });
  receiver.answer = () => null;
  expect(await createPost({ policy: LOOPBACK, timeoutMs: 100 })(request(receiver.url))).toMatchObject({
    failure: 'timeout',
  });
});

test.each([
  ['switches to another protocol', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n', {}],
  ['gives hints without end', 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'.repeat(20), { failure: 'timeout' }],
  ['begins an answer and stands still', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nslow', { failure: 'timeout' }],
  ['speaks no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n', {}],
])('a request to a server that %s ends', async (_what, answer, end) => {
  const server = createServer((socket) => socket.on('error', () => undefined).once('data', () => socket.write(answer)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const expected = { failure: 'connection_failed', ...end };
  const timeoutMs = expected.failure === 'timeout' ? 300 : PATIENCE_MS;
  expect(await createPost({ policy: LOOPBACK, timeoutMs })(request(url))).toMatchObject(expected);
  await new Promise((resolve) => server.close(resolve));
});

test('an answer is read up to a bound, and its length costs nothing', async () => {
  const receiver = await world.receiver();
  receiver.answer = () => ({ status: 200, body: 'x'.repeat(50 * 2 ** 20) });
  const result = await createPost({ policy: LOOPBACK })(request(receiver.url));
  expect(result).toMatchObject({ status: 200 });
  expect('body' in result && result.body.length).toBe(16 * 1024);
  receiver.answer = () => ({ status: 200, headers: { padding: 'x'.repeat(32 * 1024) } });
  expect(await createPost({ policy: LOOPBACK })(request(receiver.url))).toMatchObject({ failure: 'connection_failed' });
});

test('proxies and credentials of the environment are not used', async () => {
  const [receiver, proxy] = [await world.receiver(), await world.receiver()];
  const names = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'NODE_USE_ENV_PROXY'];
  const before = names.map((name) => process.env[name]);
  for (const name of names) process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : proxy.url;
  try {
    expect(await createPost({ policy: LOOPBACK })(request(receiver.url))).toMatchObject({ status: 204 });
  } finally {
    names.forEach((name, index) => {
      if (before[index] === undefined) delete process.env[name];
      else process.env[name] = before[index];
    });
  }
  expect(proxy.received).toEqual([]);
  expect(receiver.received[0]!.headers).not.toHaveProperty('authorization');
  expect(receiver.received[0]!.headers).not.toHaveProperty('cookie');
});

test('a name that does not exist has no addresses, without an error that tells more', async () => {
  expect(await resolveByDns('nothing.invalid', AbortSignal.timeout(5000)).catch(() => [])).toEqual([]);
});

test('addresses that cannot be used are refused when they are given', async () => {
  for (const url of ['https://10.0.0.1/', 'https://user:pass@hooks.example.com/', 'http://1.1.1.1/', 'nothing']) {
    const answer = await world.send('POST', '/v1/webhook-endpoints', { url });
    expect(answer, url).toMatchObject({ status: 422, body: { code: 'url_not_allowed' } });
  }
  const { id } = await world.endpoint('https://hooks.example.com/');
  const changed = await world.send('PATCH', `/v1/webhook-endpoints/${id}`, { url: 'https://169.254.169.254/latest' });
  expect(changed).toMatchObject({ status: 422, body: { code: 'url_not_allowed' } });
});
