import { createHash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { packageVersion } from '../../../core/installation/package-path.ts';
import { tenantScope } from './auth.ts';
import { KeptBodies } from './answers/kept-bodies.ts';

declare module 'fastify' {
  interface FastifyInstance {
    keptBodies: KeptBodies;
  }
}

/**
 * Adds an ETag to every JSON answer to a GET or HEAD, and answers 304 if the client already has that answer. The ETag
 * is a hash of the answer, unless the route names a version beforehand ({@link unlessUnchanged}).
 */
export default fp(
  async (app) => {
    app.decorate('keptBodies', new KeptBodies());
    app.addHook('onSend', async (request, reply, payload) => {
      const reads = request.method === 'GET' || request.method === 'HEAD';
      if (!reads || reply.statusCode !== 200 || typeof payload !== 'string' || reply.hasHeader('etag')) return payload;
      // An answer that must not be stored needs no ETag.
      if (reply.getHeader('cache-control') === 'no-store') return payload;
      const etag = etagOf(payload);
      setEtag(reply, etag);
      if (!matchesEtag(request.headers['if-none-match'], etag)) return payload;
      reply.code(304).removeHeader('content-length').removeHeader('content-type');
      return null;
    });
  },
  { name: 'etag' },
);

/**
 * Version of Readapt, which goes into ETags that are made from the version of the data: another release may write a
 * different body for the same data.
 */
const RELEASE = packageVersion();

/**
 * Answers a request whose route can tell the version of its data cheaply. If the client already has the present
 * version, the answer is a 304, and the body is not computed. Otherwise the body that was cached for this version and
 * this tenant is sent or, if there is none, a newly computed one. The version is read before the body. If the data
 * changes in between, the client's ETag is older than its body, so the client asks again and is never left with an
 * outdated body.
 *
 * @param answer.version a text that differs after each change of the body; null if the route can tell no version
 */
export async function unlessUnchanged<T>(
  request: FastifyRequest,
  reply: FastifyReply,
  answer: { version: () => Promise<string | null>; body: () => Promise<T> },
): Promise<T> {
  const version = await answer.version();
  if (version === null) return answer.body();
  const scope = tenantScope(request) ?? '';
  const etag = etagOf(`${RELEASE} ${scope} ${version}`);
  if (matchesEtag(request.headers['if-none-match'], etag)) {
    setEtag(reply, etag);
    // The 304 is already sent. Fastify learns that from the returned reply.
    return reply.code(304).send() as unknown as T;
  }
  const { keptBodies } = request.server;
  const key = `${scope} ${request.url}`;
  const kept = keptBodies.get(key, etag);
  const body = kept ?? reply.serialize(await answer.body());
  if (kept === null) keptBodies.keep(key, etag, body as string);
  setEtag(reply, etag);
  return reply.type('application/json; charset=utf-8').send(body) as unknown as T;
}

function etagOf(text: string): string {
  return `W/"${createHash('sha1').update(text).digest('base64url')}"`;
}

function setEtag(reply: FastifyReply, etag: string): void {
  reply.header('etag', etag).header('cache-control', 'private, no-cache');
}

/** Whether the header `If-None-Match` names the tag, by the weak comparison of RFC 9110. */
export function matchesEtag(header: string | undefined, etag: string): boolean {
  const opaque = (tag: string) => tag.trim().replace(/^W\//, '');
  return (
    header !== undefined && header.split(',').some((entry) => entry.trim() === '*' || opaque(entry) === opaque(etag))
  );
}
