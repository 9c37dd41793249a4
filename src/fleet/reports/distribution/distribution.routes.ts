import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { ModuleOptions } from '../../../api/plugins/module-options.ts';
import { requireScope, tenantScope } from '../../../api/plugins/auth.ts';
import { unlessUnchanged } from '../../../api/plugins/etag.ts';
import { operationsOf } from '../../../api/plugins/openapi/operation.ts';
import { createRolloutService } from '../../rollouts/index.ts';
import { ReportParams } from '../report.schemas.ts';
import { TtrDistribution } from './distribution.schemas.ts';
import { ttrDistribution } from './distribution.service.ts';

const operation = operationsOf('Reports');

const distributionRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { deps }) => {
  app.get(
    '/rollouts/:id/ttr-distribution',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('getTtrDistribution', 'Get the times to readiness of a rollout, to be drawn'),
        description:
          'Answers with the times of adaptations and of controls. Controls run after the fleet, so compare ' +
          '`working_ms`. A tenant gets the times of its own jobs.',
        params: ReportParams,
        response: { 200: TtrDistribution },
      },
    },
    (request, reply) => {
      const [{ id }, scope] = [request.params, tenantScope(request)];
      const rollouts = createRolloutService({ ...deps, db: request.db });
      return unlessUnchanged(request, reply, {
        version: () => rollouts.version(id, scope),
        body: () => ttrDistribution({ db: request.db, rollouts }, id, scope),
      });
    },
  );
};
export default distributionRoutes;
