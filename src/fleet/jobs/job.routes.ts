import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { unlessUnchanged } from '../../api/plugins/etag.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { Job, JobPage, JobParams, JobQuery, MetricPoints, MetricQuery } from './job.schemas.ts';
import { createJobService } from './job.service.ts';
import { TERMINAL_JOB_STATES } from './job.states.ts';

const operation = operationsOf('Jobs');

const jobRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app) => {
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => createJobService({ db });
  app.get(
    '/jobs',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('listJobs', 'List jobs, or those that have changed'),
        description:
          'Newest first, unless `sort` says otherwise. With `changed_after`, those that have changed after a ' +
          'position, which is the way to follow a fleet.',
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
      config: { finalStates: TERMINAL_JOB_STATES },
      schema: {
        ...operation('getJob', 'Get a job'),
        description: 'Answers with the state, the phases, and what the gate has found so far. Poll it with the `ETag`.',
        params: JobParams,
        response: { 200: Job },
      },
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
        description: 'Go on with `next_since_id` as `since_id` to get later values.',
        params: JobParams,
        querystring: MetricQuery,
        response: { 200: MetricPoints },
      },
    },
    (request) => service(request).metrics(request.params.id, request.query, tenantScope(request)),
  );
};
export default jobRoutes;
