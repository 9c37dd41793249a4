import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { ModuleOptions } from '../../app-dependencies.ts';
import { recordChangeOf } from '../../plugins/audit.ts';
import { requireScope, tenantScope } from '../../plugins/auth.ts';
import { unlessUnchanged } from '../../plugins/etag.ts';
import { operationsOf } from '../../plugins/openapi/operation.ts';
import { Job, JobPage, JobParams, JobQuery, MetricPoints, MetricQuery } from './job.schemas.ts';
import { createJobService } from './job.service.ts';

const operation = operationsOf('Jobs');

const jobRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { deps }) => {
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => createJobService({ ...deps, db });
  app.get(
    '/jobs',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('listJobs', 'List jobs, newest first, or those that have changed'),
        querystring: JobQuery,
        response: { 200: JobPage },
      },
    },
    (request, reply) => {
      const [asked, scope] = [service(request), tenantScope(request)];
      return unlessUnchanged(request, reply, {
        version: () => asked.pageVersion(request.query, scope),
        body: () => asked.list(request.query, scope),
      });
    },
  );
  app.get(
    '/jobs/:id',
    {
      onRequest: requireScope('tenant:read'),
      schema: { ...operation('getJob', 'Get a job'), params: JobParams, response: { 200: Job } },
    },
    (request, reply) => {
      const [asked, scope] = [service(request), tenantScope(request)];
      return unlessUnchanged(request, reply, {
        version: () => asked.version(request.params.id, scope),
        body: () => asked.get(request.params.id, scope),
      });
    },
  );
  app.get(
    '/jobs/:id/metrics',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('listJobMetrics', 'List the values that were measured while a job ran, oldest first'),
        params: JobParams,
        querystring: MetricQuery,
        response: { 200: MetricPoints },
      },
    },
    (request) => service(request).metrics(request.params.id, request.query, tenantScope(request)),
  );
  app.post(
    '/jobs/:id/cancel',
    {
      onRequest: requireScope('tenant:write'),
      schema: {
        ...operation('cancelJob', 'Cancel a job'),
        description:
          'Ends a job that waits or runs. Cancelling it again changes nothing. A job that is ready keeps its published ' +
          'version; only its refinement ends.',
        params: JobParams,
        response: { 200: Job },
      },
    },
    (request) => service(request).cancel(request.params.id, tenantScope(request), recordChangeOf(request)),
  );
};
export default jobRoutes;
