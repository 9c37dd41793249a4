import { createHash } from 'node:crypto';
import { getEventListeners } from 'node:events';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { bytesOfPart, partCount, readParts } from '../../../src/platform/base-sources/index.ts';
import { checked, sha256Of } from '../../../src/fleet/base-uploads/received-part.ts';
import { HashedStream } from '../../../src/fleet/base-uploads/verification/hashed-stream.ts';
import { readContents, WrongContentError } from '../../../src/fleet/base-uploads/verification/read-contents.ts';
import { rawTar } from '../../integration/adapters/support.ts';

const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

/** Source that returns the bytes in pieces and counts the bytes read. */
function source(content: Buffer, piece = 7) {
  const state = { read: 0, isClosed: false };
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      for (let at = 0; at < content.length; at += piece) {
        const chunk = content.subarray(at, at + piece);
        state.read += chunk.length;
        yield chunk;
      }
    } finally {
      state.isClosed = true;
    }
  }
  return { state, chunks: chunks() };
}

async function all(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const found: Uint8Array[] = [];
  for await (const chunk of chunks) found.push(chunk);
  return Buffer.concat(found).toString();
}

describe('a hashed stream', () => {
  test('has the digest of all bytes, whoever has read some of them', async () => {
    const content = Buffer.from('0123456789'.repeat(10));
    const { chunks } = source(content);
    const stream = new HashedStream(chunks);
    expect((await stream.take(10)).toString()).toBe('0123456789');
    expect((await stream.take(3)).toString()).toBe('012');
    for await (const chunk of stream.rest) {
      expect(Buffer.from(chunk).toString()[0]).toBe('3');
      break;
    }
    expect(await stream.sha256()).toBe(sha256(content));
  });

  test('gives fewer bytes at the end alone', async () => {
    const stream = new HashedStream(source(Buffer.from('0123456789')).chunks);
    expect((await stream.take(20)).toString()).toBe('0123456789');
    expect((await stream.take(5)).length).toBe(0);
  });
});

describe('a file that has arrived', () => {
  const archive = rawTar([
    { path: 'model/tokenizer.json', content: '{"a":1}' },
    { path: 'model/README.md', content: 'text' },
    { path: 'model/onnx/tokenizer.json', content: '{}' },
  ]);
  const file = (content: Buffer) => ({ name: 'a.tar', size: content.length, sha256: sha256(content) });

  test('is an archive of which the places of the files are known', async () => {
    const [found, ...more] = await readContents(file(archive), source(archive).chunks);
    expect(more).toEqual([]);
    expect(found).toMatchObject({ name: 'tokenizer.json', size: 7, sha256: sha256(Buffer.from('{"a":1}')) });
    expect(archive.subarray(found!.offset, found!.offset + 7).toString()).toBe('{"a":1}');
  });

  test('is damaged rather than refused where it is not what was announced', async () => {
    const damaged = Buffer.from(archive);
    // Makes the first entry a link.
    damaged[156] = '2'.charCodeAt(0);
    const { state, chunks } = source(damaged);
    await expect(readContents(file(archive), chunks)).rejects.toThrow(WrongContentError);
    expect(state).toEqual({ read: damaged.length, isClosed: true });
    await expect(readContents(file(damaged), source(damaged).chunks)).rejects.toMatchObject({ status: 422 });
  });
});

describe('a part', () => {
  const part = { what: 'part 1 of x', bytes: 10, sha256: null };

  test('that is too long is not read to its end', async () => {
    const { state, chunks } = source(Buffer.alloc(1000));
    await expect(all(checked(chunks, part))).rejects.toMatchObject({ code: 'invalid_part' });
    expect(state.read).toBeLessThan(20);
  });

  test('fails at its end if it is too short or another one', async () => {
    await expect(all(checked(source(Buffer.alloc(9)).chunks, part))).rejects.toMatchObject({ code: 'invalid_part' });
    const other = { ...part, sha256: sha256(Buffer.from('other')) };
    const refused = all(checked(source(Buffer.alloc(10)).chunks, other));
    await expect(refused).rejects.toMatchObject({ code: 'digest_mismatch' });
    const right = { ...part, sha256: sha256(Buffer.from('0123456789')) };
    expect(await all(checked(source(Buffer.from('0123456789')).chunks, right))).toBe('0123456789');
  });

  test('has its digest among those of the header', () => {
    const digest = createHash('sha256').update('x').digest('base64');
    const hex = sha256(Buffer.from('x'));
    expect(sha256Of(`sha-256=:${digest}:`)).toBe(hex);
    expect(sha256Of(`sha-512=:AAAA:, sha-256=:${digest}:`)).toBe(hex);
    expect(sha256Of(undefined)).toBe(null);
    expect(() => sha256Of(`sha-256=${digest}`)).toThrow(/Content-Digest/);
  });
});

test('parts are read as one file', async () => {
  const parts = ['0123', '4567', '89'];
  const artifacts = {
    createReadStream: (digest: string) => Promise.resolve(Readable.from([Buffer.from(parts[Number(digest)]!)])),
  };
  const sent = { size: 10, partBytes: 4, digests: ['0', '1', '2'] };
  const { signal } = new AbortController();
  const read = (from: number, to: number) => all(readParts(artifacts, sent, { from, to, signal }));
  expect(await read(0, 10)).toBe('0123456789');
  expect(await read(3, 5)).toBe('34');
  expect(await read(4, 8)).toBe('4567');
  expect(await read(9, 10)).toBe('9');
  expect(await read(10, 10)).toBe('');
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  expect([partCount(0, 4), partCount(8, 4), partCount(9, 4)]).toEqual([1, 2, 3]);
  expect([bytesOfPart(1, 0, 4), bytesOfPart(3, 10, 4)]).toEqual([0, 2]);
  await expect(all(readParts(artifacts, { ...sent, size: 12 }, { from: 0, to: 12, signal }))).rejects.toMatchObject({
    number: 3,
  });
});

test('a read of parts ends with its signal, also in the middle of one', async () => {
  const endless = new Readable({ read: () => undefined });
  endless.push(Buffer.from('01'));
  const aborter = new AbortController();
  const sent = { size: 10, partBytes: 10, digests: ['0'] };
  const artifacts = { createReadStream: () => Promise.resolve(endless) };
  const chunks = readParts(artifacts, sent, { from: 0, to: 10, signal: aborter.signal });
  expect(Buffer.from((await chunks.next()).value).toString()).toBe('01');
  const next = chunks.next();
  aborter.abort(new Error('enough'));
  await expect(next).rejects.toThrow('enough');
  expect(endless.destroyed).toBe(true);
  await expect(readParts(artifacts, sent, { from: 0, to: 10, signal: aborter.signal }).next()).rejects.toThrow(
    'enough',
  );
});
