import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { pageOf } from '../../platform/contract/pagination.ts';
import { recordChangeOf } from '../../api/plugins/audit.ts';
import { requireOperator, requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { unlessUnchanged } from '../../api/plugins/etag.ts';
import { answerOnce } from '../../api/plugins/idempotency/answer-once.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { createApprovalCheck } from './approvals/approval-check.ts';
import { ApproveWave, CreateRollout, Rollout, RolloutParams, RolloutQuery } from './rollout.schemas.ts';
import { createRolloutService } from './rollout.service.ts';
import { TERMINAL_ROLLOUT_STATES } from './rollout.states.ts';
import { SummaryCache } from './summary-cache.ts';

const operation = operationsOf('Rollouts');

const rolloutRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { config, deps }) => {
  const checkApproval = createApprovalCheck(config);
  const summaries = new SummaryCache();
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => createRolloutService({ ...deps, db, summaries });
  app.post(
    '/rollouts',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('createRollout', 'Carry the fleet over to a base model version'),
        description:
          'Starts a rollout to a version that is registered already. Registering a version starts one by itself, ' +
          'unless its `rollout` is false. A rollout takes the adapters that have no version for the base model ' +
          'version when it is planned; another one, when it has ended, takes those that have joined since or were ' +
          'not carried over.',
        body: CreateRollout,
        response: { 202: Rollout },
      },
    },
    (request, reply) => {
      checkApproval(request.body.options?.policy);
      return answerOnce<Rollout>(
        request,
        reply,
        ({ id }) => ({ status: 202, location: `/v1/rollouts/${id}`, subjectId: id, tenantId: null }),
        (record) => service(request).create(request.body, record),
      );
    },
  );
  app.get(
    '/rollouts',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('listRollouts', 'List rollouts, newest first'),
        description:
          'Newest first, unless `sort` says otherwise. Tenants see all rollouts, with the counts of their own jobs.',
        querystring: RolloutQuery,
        response: { 200: pageOf(Rollout) },
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
    '/rollouts/:id',
    {
      onRequest: requireScope('tenant:read'),
      config: { finalStates: TERMINAL_ROLLOUT_STATES },
      schema: {
        ...operation('getRollout', 'Get a rollout'),
        description: 'A tenant sees the whole rollout, but only its own jobs are counted.',
        params: RolloutParams,
        response: { 200: Rollout },
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
  app.post(
    '/rollouts/:id/cancel',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('cancelRollout', 'Cancel a rollout and its jobs'),
        description:
          'Ends waiting and running jobs. Published versions stay. Cancelling again changes nothing. The jobs of a ' +
          'large fleet are cancelled in steps; `finished_at` is set after the last one.',
        params: RolloutParams,
        response: { 200: Rollout },
      },
    },
    (request) => service(request).cancel(request.params.id, recordChangeOf(request)),
  );
  app.post(
    '/rollouts/:id/pause',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('pauseRollout', 'Pause a rollout and its jobs'),
        description:
          'No job is planned or begun any more, and running ones stop at their next step and keep their checkpoints. ' +
          'Pausing again changes nothing. The jobs of a large fleet are paused in steps; none is begun meanwhile.',
        params: RolloutParams,
        response: { 200: Rollout },
      },
    },
    (request) => service(request).pause(request.params.id, recordChangeOf(request)),
  );
  app.post(
    '/rollouts/:id/resume',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('resumeRollout', 'Resume a paused rollout and its jobs'),
        description:
          'It goes on where it was, and each job from its checkpoint. Jobs that were paused themselves stay paused. ' +
          'Resuming a rollout that is not paused changes nothing.',
        params: RolloutParams,
        response: { 200: Rollout },
      },
    },
    (request) => service(request).resume(request.params.id, recordChangeOf(request)),
  );
  app.post(
    '/rollouts/:id/approve',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('approveRollout', 'Release a wave of a rollout that waits for an approval'),
        description:
          'Jobs of the wave are enqueued. Approving a wave that was released already changes nothing; for one that ' +
          'does not wait yet the answer is `409 wave_not_waiting`.',
        params: RolloutParams,
        body: ApproveWave,
        response: { 200: Rollout },
      },
    },
    (request) => service(request).approve(request.params.id, request.body.wave, recordChangeOf(request)),
  );
};
export default rolloutRoutes;
