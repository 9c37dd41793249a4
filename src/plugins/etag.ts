import { createHash } from 'node:crypto';
import fp from 'fastify-plugin';

/** Gives every JSON answer to a GET an ETag, and answers 304 when the client already has it. */
export default fp(
  async (app) => {
    app.addHook('onSend', async (request, reply, payload) => {
      if (request.method !== 'GET' || reply.statusCode !== 200 || typeof payload !== 'string') return payload;
      const etag = `W/"${createHash('sha1').update(payload).digest('base64url')}"`;
      reply.header('etag', etag).header('cache-control', 'private, no-cache');
      if (!matches(request.headers['if-none-match'], etag)) return payload;
      reply.code(304).removeHeader('content-length').removeHeader('content-type');
      return null;
    });
  },
  { name: 'etag' },
);

function matches(header: string | undefined, etag: string): boolean {
  return header !== undefined && header.split(',').some((entry) => entry.trim() === '*' || entry.trim() === etag);
}
