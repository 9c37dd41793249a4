import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import type { Database } from '../../platform/database/database.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { checkReadiness, type ReadinessChecks, type ReadinessWarnings } from './health.service.ts';

const CheckResult = Type.Object(
  {
    name: Type.String({ description: '`database` or `queue`, for example.' }),
    ok: Type.Boolean({ description: 'Whether it can be used.' }),
    duration_ms: Type.Number({ description: 'How long the check took.' }),
    reason: Type.Union([Type.String(), Type.Null()], { description: 'What is wrong; null if nothing is.' }),
  },
  { title: 'ReadinessCheck', description: 'Whether one part of the service can be used.' },
);
const Health = Type.Object(
  { status: Type.Enum(['ok'] as const, { title: 'HealthStatus', description: 'The process is alive.' }) },
  { title: 'Health', description: 'The answer of a process that is alive.' },
);
const Readiness = Type.Object(
  {
    status: Type.Enum(['ready', 'not_ready'] as const, {
      title: 'ReadinessStatus',
      description: '`not_ready`: a check has failed.',
    }),
    checks: Type.Array(CheckResult),
    warnings: Type.Array(Type.String(), {
      description: 'What is wrong and does not keep the service from answering, such as a wrong clock.',
    }),
  },
  { title: 'Readiness', description: 'Whether the service can answer requests, and what is wrong where it cannot.' },
);

interface HealthOptions {
  db: Database;
  checks: ReadinessChecks;
  warnings: ReadinessWarnings;
  clockToleranceMs: number;
}

const operation = operationsOf('Service');

const healthRoutes: FastifyPluginAsyncTypebox<HealthOptions> = async (app, options) => {
  app.get(
    '/healthz',
    {
      schema: {
        ...operation('getHealth', 'Check whether the process is alive'),
        description:
          'Answers as long as the process runs. It needs no key and asks nothing of the database: let a ' +
          'supervisor restart by it.',
        response: { 200: Health },
      },
    },
    async () => ({ status: 'ok' as const }),
  );
  app.get(
    '/readyz',
    {
      schema: {
        ...operation('getReadiness', 'Check whether the database and the queue can be reached'),
        description:
          'Says whether requests can be answered, and which part is wrong where they cannot: let a load ' +
          'balancer send requests by it. It needs no key.',
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
