import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

/** Seconds for which a browser may keep what a preflight has answered. */
const MAX_AGE_S = 600;

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** What scripts may send beside what browsers always let them. */
const ALLOWED_HEADERS = [
  ...['Authorization', 'Content-Type', 'Idempotency-Key', 'If-None-Match', 'If-Range', 'Last-Event-ID', 'Range'],
  ...['traceparent', 'tracestate'],
];

/** What scripts may read beside what browsers always let them. */
const EXPOSED_HEADERS = [
  ...['Accept-Ranges', 'Allow', 'Content-Disposition', 'Content-Range', 'ETag', 'Idempotency-Replayed', 'Location'],
  ...['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset', 'Repr-Digest', 'Retry-After', 'X-Request-Id'],
];

/**
 * Lets scripts of other origins use the API from a browser: of those that are named, and none by default. A key goes in a header that a
 * script has to set itself, so no cookies or other credentials of the browser are accepted.
 * @param origins origins such as `https://fleet.example.com`; `*` stands for all
 */
export async function useCors(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await app.register(cors, {
    origin: origins.includes('*') ? '*' : [...origins],
    methods: METHODS,
    allowedHeaders: ALLOWED_HEADERS,
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: MAX_AGE_S,
    // An OPTIONS that is no preflight is answered as it is without CORS.
    strictPreflight: false,
  });
}
