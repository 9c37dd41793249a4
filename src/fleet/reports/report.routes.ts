import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { createKeyedMutex } from '../../lib/keyed-mutex.ts';
import { requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { unlessUnchanged } from '../../api/plugins/etag.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { createRolloutService } from '../rollouts/index.ts';
import { rolloutCsv, ttrCsv } from './csv.ts';
import { CSV_TYPE, CsvReport, ReportParams, RolloutReport, TtrQuery, TtrReport } from './report.schemas.ts';
import { createReportService } from './report.service.ts';

const operation = operationsOf('Reports');

const CSV_HEADER = `${CSV_TYPE}; charset=utf-8; header=present`;

const reportRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { deps }) => {
  const inTurn = createKeyedMutex();
  const rolloutsFor = ({ db }: Pick<FastifyRequest, 'db'>) => createRolloutService({ ...deps, db });
  const service = (request: Pick<FastifyRequest, 'db'>) =>
    createReportService({ db: request.db, rollouts: rolloutsFor(request), inTurn });
  app.get(
    '/rollouts/:id/report',
    {
      onRequest: requireScope('tenant:read'),
      config: { problems: [422] },
      schema: {
        ...operation('getRolloutReport', 'Report how long a rollout took'),
        description:
          'Time to readiness in whole, by tenant, strategy and phase; the speed-up over controls; and device ' +
          'seconds. A tenant gets the report of its own jobs. While jobs go on, device seconds are those when the ' +
          'number of jobs in some state last changed.',
        params: ReportParams,
        response: { 200: RolloutReport },
      },
    },
    (request, reply) => {
      const [{ id }, scope] = [request.params, tenantScope(request)];
      return unlessUnchanged(request, reply, {
        version: () => rolloutsFor(request).version(id, scope),
        body: () => service(request).rollout(id, scope),
      });
    },
  );
  app.get(
    '/rollouts/:id/report/export',
    {
      onRequest: requireScope('tenant:read'),
      config: { problems: [422] },
      schema: {
        ...operation('exportRolloutReport', 'Export the report of a rollout as CSV'),
        description: 'Answers with the figures of `GET /v1/rollouts/{id}/report` as CSV.',
        params: ReportParams,
        response: { 200: CsvReport },
      },
    },
    async (request, reply) => {
      const report = await service(request).rollout(request.params.id, tenantScope(request));
      return reply.type(CSV_HEADER).send(rolloutCsv(report));
    },
  );
  app.get(
    '/reports/ttr',
    {
      onRequest: requireScope('tenant:read'),
      config: { problems: [422] },
      schema: {
        ...operation('getTtrReport', 'Report how long rollouts took'),
        description:
          'Reports on all rollouts that were accepted in a time, with at most 200,000 jobs together (`422 ' +
          'report_too_large`).',
        querystring: TtrQuery,
        response: { 200: TtrReport },
      },
    },
    (request) => service(request).ttr(request.query, tenantScope(request)),
  );
  app.get(
    '/reports/ttr/export',
    {
      onRequest: requireScope('tenant:read'),
      config: { problems: [422] },
      schema: {
        ...operation('exportTtrReport', 'Export the report of several rollouts as CSV'),
        description: 'Answers with the figures of `GET /v1/reports/ttr` as CSV.',
        querystring: TtrQuery,
        response: { 200: CsvReport },
      },
    },
    async (request, reply) => {
      const report = await service(request).ttr(request.query, tenantScope(request));
      return reply.type(CSV_HEADER).send(ttrCsv(report));
    },
  );
};
export default reportRoutes;
