import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { Attention } from './attention.schemas.ts';
import { Fleet } from './fleet.schemas.ts';
import { createOverviewService } from './overview.service.ts';

const FleetParams = Type.Object({
  model: Type.String({ minLength: 1, maxLength: 100, description: 'A base model: its identifier or its name.' }),
});

const overviewRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app) => {
  const service = createOverviewService();
  app.get(
    '/base-models/:model/fleet',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operationsOf('Base models')('getFleet', 'Count the adapters on each version of a base model'),
        description:
          'Poll it: however many do, it is counted for a twentieth of the time at the most, so that it may ' +
          'be a few seconds old in a large ' +
          'fleet. A tenant gets the counts of its own adapters.',
        params: FleetParams,
        response: { 200: Fleet },
      },
    },
    (request) => service.fleet(request.db, request.params.model, tenantScope(request)),
  );
  app.get(
    '/attention',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operationsOf('Rollouts')('getAttention', 'List what waits for a person'),
        description:
          'What the caller may do something about: waves to approve, rollouts that paused themselves or ' +
          'failed, workers in quarantine, ' +
          'and base model versions that retire while adapters are served there; for a tenant, jobs that wait ' +
          'for its approval, and its ' +
          'disabled webhook endpoints (`tenant:admin`). Poll it as the counts of a fleet.',
        response: { 200: Attention },
      },
    },
    ({ db, principal }) => service.attention(db, principal),
  );
};
export default overviewRoutes;
