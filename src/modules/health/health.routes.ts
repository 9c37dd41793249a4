import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import type { Database } from '../../lib/database.ts';
import { operationsOf } from '../../plugins/openapi/operation.ts';
import { checkReadiness, type ReadinessChecks } from './health.service.ts';

const CheckResult = Type.Object({
  name: Type.String(),
  ok: Type.Boolean(),
  duration_ms: Type.Number(),
  reason: Type.Union([Type.String(), Type.Null()], { description: 'What is wrong; null if nothing is.' }),
});
const Health = Type.Object({ status: Type.Literal('ok') });
const Readiness = Type.Object({
  status: Type.Enum(['ready', 'not_ready'] as const),
  checks: Type.Array(CheckResult),
  warnings: Type.Array(Type.String(), {
    description: 'What is wrong and does not keep the service from answering, such as a wrong clock.',
  }),
});

interface HealthOptions {
  db: Database;
  checks: ReadinessChecks;
  clockToleranceMs: number;
}

const operation = operationsOf('Service');

const healthRoutes: FastifyPluginAsyncTypebox<HealthOptions> = async (app, options) => {
  app.get(
    '/healthz',
    { schema: { ...operation('getHealth', 'Check whether the process is alive'), response: { 200: Health } } },
    async () => ({ status: 'ok' as const }),
  );
  app.get(
    '/readyz',
    {
      schema: {
        ...operation('getReadiness', 'Check whether the database and the queue can be reached'),
        response: { 200: Readiness, 503: Readiness },
      },
    },
    async (request, reply) => {
      const readiness = await checkReadiness({ ...options, log: request.log });
      return reply.code(readiness.status === 'ready' ? 200 : 503).send(readiness);
    },
  );
};
export default healthRoutes;
