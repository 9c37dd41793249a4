import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { ModuleOptions } from '../../../api/plugins/module-options.ts';
import { Id } from '../../../platform/contract/schemas.ts';
import { recordChangeOf } from '../../../api/plugins/audit.ts';
import { requireScope, tenantScope } from '../../../api/plugins/auth.ts';
import { operationsOf } from '../../../api/plugins/openapi/operation.ts';
import { ChangedRolloutJobs, ChangeRolloutJobs, RetryRolloutJobs } from './by-filter.schemas.ts';
import { createJobsByFilter } from './jobs-by-filter.ts';

const operation = operationsOf('Rollouts');

const params = Type.Object({ id: Id('rollout') });

const COMMON =
  'A tenant changes its own jobs only. Jobs that cannot be changed are counted by the reason, which is no error. ' +
  'Jobs are changed in steps, at most 10,000 by one request: with a `next_cursor` in the answer, go on. A request ' +
  'that was interrupted is sent again: it changes what is left.';

const RETRY =
  'Jobs that have ended without a publication begin anew, as far as quotas have room, with other options if some ' +
  'are given.';

const ACTIONS = [
  ['pause', 'pauseRolloutJobs', 'Pause jobs of a rollout by a filter', 'They stay paused when the rollout is resumed.'],
  ['resume', 'resumeRolloutJobs', 'Resume paused jobs of a rollout by a filter', 'The rollout must not be paused.'],
  ['cancel', 'cancelRolloutJobs', 'Cancel jobs of a rollout by a filter', 'Published versions stay.'],
] as const;

const byFilterRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { config, deps }) => {
  const service = ({ db }: Pick<FastifyRequest, 'db'>) =>
    createJobsByFilter({ producer: deps.producer, quotas: config.quotas, db });
  const callerOf = (request: FastifyRequest) => ({
    scope: tenantScope(request),
    recordChange: recordChangeOf(request),
  });
  for (const [action, operationId, summary, description] of ACTIONS) {
    app.post(
      `/rollouts/:id/jobs/${action}`,
      {
        onRequest: requireScope('tenant:write'),
        schema: {
          ...operation(operationId, summary),
          description: `${description} ${COMMON}`,
          params,
          body: ChangeRolloutJobs,
          response: { 200: ChangedRolloutJobs },
        },
      },
      (request) => service(request).change(request.params.id, action, { ...request.body, ...callerOf(request) }),
    );
  }
  app.post(
    '/rollouts/:id/jobs/retry',
    {
      onRequest: requireScope('tenant:write'),
      schema: {
        ...operation('retryRolloutJobs', 'Retry jobs of a rollout by a filter'),
        description: `${RETRY} ${COMMON}`,
        params,
        body: RetryRolloutJobs,
        response: { 200: ChangedRolloutJobs },
      },
    },
    (request) => service(request).change(request.params.id, 'retry', { ...request.body, ...callerOf(request) }),
  );
};
export default byFilterRoutes;
