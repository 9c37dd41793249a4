import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { recordChangeOf } from '../../api/plugins/audit.ts';
import { requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { Job, JobParams } from '../jobs/index.ts';
import { createJobControl } from './job-control.service.ts';
import { RetryJob } from './retry/retry.schemas.ts';

const operation = operationsOf('Jobs');

const jobControlRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { config, deps }) => {
  const service = ({ db }: Pick<FastifyRequest, 'db'>) =>
    createJobControl({ db, producer: deps.producer, quotas: config.quotas });
  app.post(
    '/jobs/:id/cancel',
    {
      onRequest: requireScope('tenant:write'),
      schema: {
        ...operation('cancelJob', 'Cancel a job'),
        description:
          'Ends a job that waits or runs. Cancelling it again changes nothing. A job that is ready keeps its ' +
          'published version; only its refinement ends.',
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
          'A job that waits is not started, and one that runs stops at its next step and keeps its checkpoint. ' +
          'Pausing it again changes nothing, except that a job that was paused with its rollout stays paused when ' +
          'that is resumed.',
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
          'The job goes on from its checkpoint and ends as if it had never been paused. Resuming a job that is not ' +
          'paused changes nothing. That of a paused rollout is refused with `409 rollout_paused`.',
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
          'The jobs of an adapter whose `approval` is `tenant` are `held` until then. Where something else holds the ' +
          'job too, its wave or a pause, it goes on waiting for that. Approving a job that waits for no approval ' +
          'changes nothing.',
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
          'A job that is `not_ready`, `failed` or `cancelled` begins anew, with the dataset and the gate that its ' +
          'adapter has now. Its time goes on: that since its end counts as `held`. A completed rollout goes on then; ' +
          'for one that is cancelled or failed, start another rollout. It may have options of its own, which are ' +
          'used in every later attempt; a tenant may not raise `max_steps` and `search_evaluations` above those of ' +
          'the rollout (`422 invalid_options`).',
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

export default jobControlRoutes;
