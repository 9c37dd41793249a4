import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { recordChangeOf } from '../../api/plugins/audit.ts';
import { requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { unlessUnchanged } from '../../api/plugins/etag.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { RetryJob } from './control/retry/retry.schemas.ts';
import { Job, JobPage, JobParams, JobQuery, MetricPoints, MetricQuery } from './job.schemas.ts';
import { createJobService } from './job.service.ts';
import { TERMINAL_JOB_STATES } from './job.states.ts';

const operation = operationsOf('Jobs');

const jobRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { config, deps }) => {
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => createJobService({ ...deps, quotas: config.quotas, db });
  app.get(
    '/jobs',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('listJobs', 'List jobs, or those that have changed'),
        description:
          'Newest first, unless `sort` says otherwise. With `changed_after`, those that have changed after a position, which is the way to follow a fleet.',
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
  app.post(
    '/jobs/:id/pause',
    {
      onRequest: requireScope('tenant:write'),
      schema: {
        ...operation('pauseJob', 'Pause a job'),
        description:
          'A job that waits is not started, and one that runs stops at its next step and keeps its checkpoint. Pausing it again ' +
          'changes nothing, except that a job that was paused with its rollout stays paused when that is resumed.',
        params: JobParams,
        response: { 200: Job },
      },
    },
    (request) => service(request).pause(request.params.id, tenantScope(request), recordChangeOf(request)),
  );
  app.post(
    '/jobs/:id/resume',
    {
      onRequest: requireScope('tenant:write'),
      schema: {
        ...operation('resumeJob', 'Resume a paused job'),
        description:
          'The job goes on from its checkpoint and ends as if it had never been paused. Resuming a job that is not paused changes ' +
          'nothing. That of a paused rollout is refused with `409 rollout_paused`.',
        params: JobParams,
        response: { 200: Job },
      },
    },
    (request) => service(request).resume(request.params.id, tenantScope(request), recordChangeOf(request)),
  );
  app.post(
    '/jobs/:id/approve',
    {
      onRequest: requireScope('tenant:write'),
      schema: {
        ...operation('approveJob', "Approve a job that waits for its tenant's approval"),
        description:
          'The jobs of an adapter whose `approval` is `tenant` are `held` until then. Where something else holds the job too, its wave or ' +
          'a pause, it goes on waiting for that. Approving a job that waits for no approval changes nothing.',
        params: JobParams,
        response: { 200: Job },
      },
    },
    (request) => service(request).approve(request.params.id, tenantScope(request), recordChangeOf(request)),
  );
  app.post(
    '/jobs/:id/retry',
    {
      onRequest: requireScope('tenant:write'),
      schema: {
        ...operation('retryJob', 'Retry a job that has ended without a publication'),
        description:
          'A job that is `not_ready`, `failed` or `cancelled` begins anew, with the dataset and the gate that its adapter has now. Its ' +
          'time goes on: that since its end counts as `held`. A completed rollout goes on then; for one that is cancelled or failed, ' +
          'start another rollout. It may have options of its own, which are used in every later attempt; a tenant may not raise ' +
          '`max_steps` and `search_evaluations` above those of the rollout (`422 invalid_options`).',
        params: JobParams,
        body: RetryJob,
        response: { 200: Job },
      },
    },
    (request) =>
      service(request).retry(request.params.id, tenantScope(request), {
        options: request.body.options,
        recordChange: recordChangeOf(request),
      }),
  );
};
export default jobRoutes;
