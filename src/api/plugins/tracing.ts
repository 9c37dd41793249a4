import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { withTraceparent } from '../../platform/tracing/current-trace.ts';
import { NO_TRACING, type Span, type Tracing } from '../../platform/tracing/tracing.ts';

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Creates a span of a trace for each request that may change something. If the caller sends a `traceparent`, the span
 * continues the caller's trace.
 */
export default fp<{ tracing: Tracing }>(
  async (app, { tracing }) => {
    if (tracing === NO_TRACING) return;
    const spans = new WeakMap<FastifyRequest, Span>();
    app.addHook('onRequest', (request, _reply, done) => {
      if (SAFE.has(request.method)) return done();
      const route = request.routeOptions.url ?? 'none';
      const span = tracing.begin(`${request.method} ${route}`, {
        parent: parentOf(request),
        attributes: { 'http.request.method': request.method, 'http.route': route, 'readapt.request_id': request.id },
      });
      spans.set(request, span);
      withTraceparent(span.traceparent, done);
    });
    app.addHook('onResponse', async (request, reply) => {
      const span = spans.get(request);
      span?.set({ 'http.response.status_code': reply.statusCode });
      span?.end(reply.statusCode >= 500 ? String(reply.statusCode) : undefined);
    });
    app.addHook('onRequestAbort', async (request) => spans.get(request)?.end('aborted'));
  },
  { name: 'tracing' },
);

function parentOf({ headers }: FastifyRequest): string | null {
  const { traceparent } = headers;
  return typeof traceparent === 'string' ? traceparent : null;
}
