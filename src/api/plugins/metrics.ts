import fp from 'fastify-plugin';
import { Counter, Histogram, type Registry } from 'prom-client';

/** Measures HTTP requests by method, route and status, and serves `GET /metrics` in Prometheus' text format. */
export default fp<{ registry: Registry }>(
  async (app, { registry }) => {
    const duration = new Histogram({
      name: 'readapt_http_request_duration_seconds',
      help: 'Time from the arrival of a request to the end of its answer, in seconds.',
      labelNames: ['method', 'route', 'status'] as const,
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers: [registry],
    });
    const aborted = new Counter({
      name: 'readapt_http_requests_aborted_total',
      help: 'Number of requests whose client disconnected before the answer.',
      labelNames: ['method', 'route'] as const,
      registers: [registry],
    });
    app.addHook('onResponse', async (request, reply) => {
      const route = request.routeOptions.url ?? 'none';
      duration.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime / 1000);
    });
    app.addHook('onRequestAbort', async (request) => {
      aborted.inc({ method: request.method, route: request.routeOptions.url ?? 'none' });
    });
    app.get('/metrics', { schema: { hide: true } }, async (_request, reply) => {
      return reply.type(registry.contentType).send(await registry.metrics());
    });
  },
  { name: 'metrics' },
);
