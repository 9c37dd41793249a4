import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { PageQuery, pageOf } from '../../platform/contract/pagination.ts';
import { requireScope } from '../../api/plugins/auth.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { EvolutionEntry, EvolutionParams, EvolutionResource, EvolutionsOfBaseParams } from './evolution.schemas.ts';
import { createEvolutionService } from './evolution.service.ts';

const operation = operationsOf('Base models');

const evolutionRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app) => {
  app.get(
    '/base-model-versions/:id/evolutions',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('listEvolutions', 'List what changed from earlier versions to a base model version, newest first'),
        description:
          'One entry for each version that adapters came from when a rollout or a dry run was analyzed. `GET ' +
          '/v1/evolutions/{id}` has the whole of one.',
        params: EvolutionsOfBaseParams,
        querystring: PageQuery,
        response: { 200: pageOf(EvolutionEntry) },
      },
    },
    ({ db, params, query }) => createEvolutionService({ db }).listTo(params.id, query),
  );
  app.get(
    '/evolutions/:id',
    {
      onRequest: requireScope('tenant:read'),
      config: { finalStates: ['ready', 'failed'] },
      schema: {
        ...operation('getEvolution', 'Get what changed between two base model versions, by layer and module'),
        description:
          'It is computed once, by the first rollout or dry run between the two versions, and does not change ' +
          'after that.',
        params: EvolutionParams,
        response: { 200: EvolutionResource },
      },
    },
    ({ db, params }) => createEvolutionService({ db }).get(params.id),
  );
};
export default evolutionRoutes;
