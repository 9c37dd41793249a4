import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../../platform/contract/errors.ts';
import { createKeyedMutex } from '../../../lib/keyed-mutex.ts';
import { matchesEtag } from '../etag.ts';

interface ByteRange {
  readonly start: number;
  /** Offset of the last byte that belongs to the range. */
  readonly end: number;
}

/** Resource that clients download. If the tags of two resources are equal, so are their bytes. */
interface Representation {
  /** ETag of the resource without its quotes. */
  readonly tag: string;
  open(): Promise<{ readonly bytes: number; read(range?: ByteRange): Readable }>;
}

/** Largest number of SHA-256 digests of resources that are cached. */
const KEPT_DIGESTS = 1000;

/**
 * Answers a GET or HEAD of a resource with a strong ETag: with all bytes, with one range if the request asks for one
 * (RFC 9110, section 14), or with 304. A request for several ranges gets all bytes, which the RFC allows. If the
 * request asks for it, the SHA-256 of all bytes goes into `Repr-Digest` (RFC 9530); computing it takes as long as a
 * download.
 *
 * @throws AppError 416 `range_not_satisfiable`
 */
export async function sendBytes(
  request: FastifyRequest,
  reply: FastifyReply,
  { tag, open }: Representation,
): Promise<FastifyReply> {
  const etag = `"${tag}"`;
  const isKnown = matchesEtag(request.headers['if-none-match'], etag);
  const found = isKnown ? null : await open();
  reply.header('etag', etag).header('cache-control', 'private, no-cache').header('accept-ranges', 'bytes');
  if (found === null) return reply.code(304).send(null);
  const { bytes } = found;
  const range = request.method === 'GET' ? rangeOf(request.headers, { etag, bytes }) : null;
  if (range === 'unsatisfiable') throw unsatisfiable(reply, bytes);
  if (wantsDigest(request.headers['want-repr-digest'])) {
    reply.header('repr-digest', `sha-256=:${await digestOf(`${tag} ${bytes} ${request.url}`, () => found.read())}:`);
  }
  reply.header('content-length', range === null ? bytes : range.end - range.start + 1);
  if (request.method === 'HEAD') return reply.send(Readable.from([]));
  if (range === null) return reply.send(found.read());
  return reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${bytes}`).send(found.read(range));
}

function unsatisfiable(reply: FastifyReply, bytes: number): AppError {
  reply.removeHeader('content-disposition').header('content-range', `bytes */${bytes}`);
  const message =
    `the range is not within the ${bytes} bytes that there are, expected one such as ` + `bytes=0-${bytes - 1}`;
  return new AppError({ code: 'range_not_satisfiable', status: 416, message, details: { bytes } });
}

/**
 * Parses the range of bytes that a request asks for. Returns null if all bytes are to be sent, because the request asks
 * for no range or for several, or because its `If-Range` does not match the present ETag.
 */
function rangeOf(
  headers: FastifyRequest['headers'],
  { etag, bytes }: { etag: string; bytes: number },
): ByteRange | 'unsatisfiable' | null {
  const condition = headers['if-range'];
  // A date in `If-Range` never matches, because answers have no Last-Modified.
  if (condition !== undefined && condition !== etag) return null;
  const [, first = '', last = ''] = /^bytes=[ \t]*(\d{0,15})-(\d{0,15})[ \t]*$/i.exec(headers.range ?? '') ?? [];
  if (first === '' && last === '') return null;
  const isSuffix = first === '';
  const start = isSuffix ? Math.max(0, bytes - Number(last)) : Number(first);
  const end = isSuffix || last === '' ? bytes - 1 : Math.min(bytes - 1, Number(last));
  if (!isSuffix && last !== '' && Number(last) < start) return null;
  return start > end ? 'unsatisfiable' : { start, end };
}

/** Whether a `Want-Repr-Digest` header asks for SHA-256. A weight of 0 means that the client does not want it. */
function wantsDigest(header: string | string[] | undefined): boolean {
  return /(^|,)\s*sha-256\s*=\s*(?:[1-9]|10)\s*(,|$)/.test([header ?? ''].flat().join(','));
}

const DIGESTS = new Map<string, string>();
const inTurn = createKeyedMutex();

/**
 * Computes the SHA-256 of a resource in base64, and caches the digests of the latest resources. One digest is computed
 * at a time.
 */
function digestOf(key: string, read: () => Readable): Promise<string> {
  return inTurn('', async () => {
    const digest = DIGESTS.get(key) ?? (await hash(read()));
    DIGESTS.delete(key);
    DIGESTS.set(key, digest);
    const [oldest] = DIGESTS.keys();
    if (DIGESTS.size > KEPT_DIGESTS && oldest !== undefined) DIGESTS.delete(oldest);
    return digest;
  });
}

async function hash(bytes: Readable): Promise<string> {
  const sum = createHash('sha256');
  for await (const chunk of bytes as AsyncIterable<Buffer>) sum.update(chunk);
  return sum.digest('base64');
}
