import rateLimit from '@fastify/rate-limit';
import fp from 'fastify-plugin';
import { tooManyRequests } from './auth.ts';

/** Limits the requests of each API key. A request counts after its authentication and before its body is read. */
export default fp<{ perMinute: number }>(
  async (app, { perMinute }) => {
    await app.register(rateLimit, {
      global: true,
      max: perMinute,
      timeWindow: 60_000,
      hook: 'preParsing',
      keyGenerator: (request) => request.principal.keyId,
      errorResponseBuilder: (_request, { ttl }) => tooManyRequests(Math.max(1, Math.ceil(ttl / 1000))),
      enableDraftSpec: true,
    });
  },
  { name: 'rate-limit' },
);
