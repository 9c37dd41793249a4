import { afterEach, beforeEach, expect, test } from 'vitest';
import { createBucket } from '../../../src/platform/artifacts/s3/bucket.ts';
import { startRangelessS3, type RangelessS3 } from '../base-sources/support/rangeless-s3.ts';

const CONTENT = Buffer.from(Array.from({ length: 200_000 }, (_, at) => at % 251));

let s3: RangelessS3;

beforeEach(async () => {
  s3 = await startRangelessS3();
  s3.objects.set('/artifacts/of/all/object', CONTENT);
});
afterEach(() => s3.close());

async function read(from?: number, to?: number): Promise<Buffer> {
  const client = s3.client();
  const chunks: Uint8Array[] = [];
  try {
    const bucket = createBucket(client, { bucket: 'artifacts', prefix: 'of/all/' }, null);
    for await (const chunk of bucket.read('object', from, to)) chunks.push(chunk);
  } finally {
    client.destroy();
  }
  return Buffer.concat(chunks);
}

test('a part is the one that was asked for, though the service sends the whole object', async () => {
  expect((await read(1000, 150_000)).equals(CONTENT.subarray(1000, 150_000))).toBe(true);
  expect((await read(0, 10)).equals(CONTENT.subarray(0, 10))).toBe(true);
  expect((await read(199_999)).equals(CONTENT.subarray(199_999))).toBe(true);
});

test('a read goes on after a connection that was cut, though the service begins anew', async () => {
  s3.cuts.push(70_000, 130_000);
  expect((await read()).equals(CONTENT)).toBe(true);
  s3.cuts.push(70_000);
  expect((await read(50_000, 190_000)).equals(CONTENT.subarray(50_000, 190_000))).toBe(true);
});
