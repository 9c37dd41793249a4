import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { recordChangeOf } from '../../api/plugins/audit.ts';
import { requireOperator, requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { RollbackParams, RolloutRollback } from './rollback.schemas.ts';
import { createRollbackService } from './rollback.service.ts';

const operation = operationsOf('Rollouts');

const rollbackRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app) => {
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => createRollbackService({ db });
  app.post(
    '/rollouts/:id/rollback',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('rollBackRollout', 'Roll a rollout back'),
        description:
          'For each adapter whose current version was made by the rollout, makes what was current before current ' +
          'again, or none. No work is started. Adapters for which something else is current by now are left alone ' +
          'and counted. The rollout has to have ended (409 `rollout_not_ended`): cancel it first. Asking again ' +
          'changes nothing, except that it goes on where an interrupted one ended, and begins anew if a version of ' +
          'the rollout has become current since. A large fleet is gone through in steps; `finished_at` is set after ' +
          'the last one.',
        params: RollbackParams,
        response: { 200: RolloutRollback },
      },
    },
    (request) => service(request).rollBack(request.params.id, recordChangeOf(request)),
  );
  app.get(
    '/rollouts/:id/rollback',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('getRollback', 'Get the rollback of a rollout'),
        description:
          'Answers with how far the rollback is; `finished_at` is null until it has ended. A tenant sees the counts ' +
          'of its own adapters. A rollout that nobody has rolled back has none (404).',
        params: RollbackParams,
        response: { 200: RolloutRollback },
      },
    },
    (request) => service(request).get(request.params.id, tenantScope(request)),
  );
};
export default rollbackRoutes;
