import fp from 'fastify-plugin';

/** Paths that are asked for every few seconds by machines. */
const QUIET = new Set(['/healthz', '/readyz', '/metrics']);

/** One line a request, when it is answered: 5xx at error, the rest at info, probes at debug. No bodies, no queries. */
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
