import { createHash } from 'node:crypto';
import fp from 'fastify-plugin';

/** Adds an ETag to every JSON answer to a GET or HEAD, and answers 304 if the client has the answer already. */
export default fp(
  async (app) => {
    app.addHook('onSend', async (request, reply, payload) => {
      const reads = request.method === 'GET' || request.method === 'HEAD';
      if (!reads || reply.statusCode !== 200 || typeof payload !== 'string') return payload;
      const etag = `W/"${createHash('sha1').update(payload).digest('base64url')}"`;
      reply.header('etag', etag).header('cache-control', 'private, no-cache');
      if (!matchesEtag(request.headers['if-none-match'], etag)) return payload;
      reply.code(304).removeHeader('content-length').removeHeader('content-type');
      return null;
    });
  },
  { name: 'etag' },
);

/** Whether the header `If-None-Match` names the tag, by the weak comparison of RFC 9110. */
export function matchesEtag(header: string | undefined, etag: string): boolean {
  const opaque = (tag: string) => tag.trim().replace(/^W\//, '');
  return (
    header !== undefined && header.split(',').some((entry) => entry.trim() === '*' || opaque(entry) === opaque(etag))
  );
}
