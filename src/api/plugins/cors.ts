import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

/** Time for which a browser may cache the answer to a preflight, in seconds. */
const MAX_AGE_S = 600;

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'];

/** Request headers that scripts may send in addition to the CORS-safelisted ones. */
const ALLOWED_HEADERS = [
  ...['Authorization', 'Content-Type', 'Idempotency-Key', 'If-None-Match', 'If-Range', 'Last-Event-ID', 'Range'],
  ...['traceparent', 'tracestate'],
];

/** Response headers that scripts may read in addition to the CORS-safelisted ones. */
const EXPOSED_HEADERS = [
  ...['Accept-Ranges', 'Allow', 'Content-Disposition', 'Content-Range', 'ETag', 'Idempotency-Replayed', 'Location'],
  ...['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset', 'Repr-Digest', 'Retry-After', 'X-Request-Id'],
];

/**
 * Lets scripts of the given origins use the API from a browser; by default there are none. An API key goes into a
 * header that the script sets itself, so the browser's cookies and other credentials are not allowed.
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
    // An OPTIONS request that is not a preflight is answered as if CORS were off.
    strictPreflight: false,
  });
}
