import fp from 'fastify-plugin';

/** Paths that health probes and Prometheus request every few seconds. */
const QUIET = new Set(['/healthz', '/readyz', '/metrics']);

/**
 * Logs one line for each answered request: answers with 5xx at the level error, those to probes at debug, all others at
 * info. Bodies and query strings are not logged.
 */
export default fp(
  async (app) => {
    app.addHook('onResponse', async (request, reply) => {
      const path = request.url.split('?', 1)[0] ?? request.url;
      const level = reply.statusCode >= 500 ? 'error' : QUIET.has(path) ? 'debug' : 'info';
      const line = {
        method: request.method,
        path,
        route: request.routeOptions.url,
        status: reply.statusCode,
        duration_ms: Math.round(reply.elapsedTime * 100) / 100,
      };
      request.log[level](line, 'request');
    });
    app.addHook('onSend', async (request, reply, payload) => {
      reply.header('x-request-id', request.id);
      return payload;
    });
  },
  { name: 'request-log' },
);
