import { Header } from 'tar';
import { expect, test } from 'vitest';
import { readTar } from '../../../src/platform/artifacts/index.ts';

const BLOCK = 512;

function entry(path: string, content: Buffer): Buffer {
  const header = Buffer.alloc(BLOCK);
  new Header({ path, type: 'File', size: content.length, mode: 0o644, mtime: new Date(0) }).encode(header);
  return Buffer.concat([header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

const FILES = [
  { path: 'empty', content: Buffer.alloc(0) },
  { path: 'block', content: Buffer.alloc(BLOCK, 'b') },
  { path: 'more', content: Buffer.alloc(BLOCK + 1, 'm') },
];
const ARCHIVE = Buffer.concat([...FILES.map(({ path, content }) => entry(path, content)), Buffer.alloc(2 * BLOCK)]);

async function* pieces(bytes: Buffer, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test.each([1, 511, 512, 513, 1 << 20])('entries are read from chunks of %i bytes', async (size) => {
  const found: { path: string; content: Buffer }[] = [];
  for await (const { path, type, size: bytes, bytes: content } of readTar(pieces(ARCHIVE, size))) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of content) chunks.push(chunk);
    found.push({ path, content: Buffer.concat(chunks) });
    expect([type, bytes]).toEqual(['File', found.at(-1)!.content.length]);
  }
  expect(found).toEqual(FILES);
});

test.each([
  ['nothing of it', 0],
  ['a piece of it', 1],
])('an entry of which somebody reads %s is skipped', async (_what, count) => {
  const paths: string[] = [];
  for await (const { path, bytes } of readTar(pieces(ARCHIVE, 100))) {
    paths.push(path);
    let read = 0;
    if (count > 0) for await (const chunk of bytes) if (chunk.length > 0 && ++read === count) break;
  }
  expect(paths).toEqual(FILES.map(({ path }) => path));
});

test('what follows the end is read to a bound, and the source is closed', async () => {
  let read = 0;
  let closed = false;
  async function* source() {
    try {
      yield ARCHIVE;
      for (;;) {
        read += 1 << 16;
        yield Buffer.alloc(1 << 16);
      }
    } finally {
      closed = true;
    }
  }
  const reading = (async () => {
    for await (const { path } of readTar(source())) expect(path).toBeDefined();
  })();
  await expect(reading).rejects.toMatchObject({ code: 'invalid_archive', status: 422 });
  expect(read).toBeLessThanOrEqual((1 << 20) + (1 << 16));
  expect(closed).toBe(true);
});

test.each([
  ['within a header', ARCHIVE.subarray(0, 600)],
  ['within a file', ARCHIVE.subarray(0, 3 * BLOCK - 1)],
])('an archive that is cut off %s is refused', async (where, bytes) => {
  const reading = (async () => {
    for await (const { bytes: content } of readTar(pieces(bytes, 100))) for await (const chunk of content) void chunk;
  })();
  await expect(reading).rejects.toThrow(where === 'within a header' ? where : 'within "block"');
});

test('says where the content of each entry begins', async () => {
  for await (const { path, offset } of readTar(pieces(ARCHIVE, 100))) {
    const { content } = FILES.find((file) => file.path === path)!;
    expect(ARCHIVE.subarray(offset, offset + content.length)).toEqual(content);
  }
});

test.each([
  ['8 GiB, which a header cannot hold, is that of the extended header', 8 ** 11, 8 ** 11],
  ['less is refused if the header says something else', 8 ** 11 - 1, null],
])('a size of %s', async (_what, bytes, expected) => {
  // A record starts with its own length, which has two digits here.
  const record = (text: string): string => `${text.length + 4} ${text}\n`;
  const extended = Buffer.alloc(2 * BLOCK);
  const text = record(`size=${bytes}`);
  new Header({ path: 'pax', type: 'ExtendedHeader', size: text.length, mode: 0o644, mtime: new Date(0) }).encode(
    extended,
  );
  extended.write(text, BLOCK);
  const header = Buffer.alloc(BLOCK);
  new Header({ path: 'large', type: 'File', size: 0, mode: 0o644, mtime: new Date(0) }).encode(header);
  const first = readTar(pieces(Buffer.concat([extended, header]), 100)).next();
  if (expected === null) await expect(first).rejects.toMatchObject({ code: 'invalid_archive' });
  else expect((await first).value).toMatchObject({ path: 'large', size: expected });
});
