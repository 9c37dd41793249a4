import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { Id } from '../../platform/contract/schemas.ts';
import { requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import {
  CurrentOfBase,
  CurrentOfBaseParams,
  CurrentOfBaseQuery,
  ResolveAdapterQuery,
  ResolveNameQuery,
  ServedVersion,
} from './serving.schemas.ts';
import { createServingService } from './serving.service.ts';

const operation = operationsOf('Serving');

/** Routes of served versions. One statement reads all of an answer, so the ETag can be a hash of the answer. */
const servingRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app) => {
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => createServingService({ db });
  app.get(
    '/adapters/:id/resolve',
    {
      onRequest: requireScope('serving:read'),
      schema: {
        ...operation('resolveAdapter', 'Resolve the version of an adapter to serve on a base model version'),
        description:
          'Answers with what is current there, where to download it and what engines call it. Poll it with the ' +
          '`ETag` of the last answer. Where nothing is to be served, it answers 404 `no_current_version`.',
        params: Type.Object({ id: Id('adapter') }),
        querystring: ResolveAdapterQuery,
        response: { 200: ServedVersion },
      },
    },
    (request) => service(request).resolve(request.params.id, request.query.base_model_version, tenantScope(request)),
  );
  app.get(
    '/serving/resolve',
    {
      onRequest: requireScope('serving:read'),
      config: { problems: [404, 409, 422] },
      schema: {
        ...operation('resolveName', 'Resolve what a serving engine calls an adapter'),
        description:
          'For engines, which know the name of the adapter and that of their base (`serving_name`), or the ' +
          'identifier of the base model version. A name with a number is answered with that version, if it is for ' +
          'the base and is not deleted, and else with what is current. A `serving_name` that several versions of the ' +
          'base model have is refused (409 `ambiguous_serving_name`), and one that is not that of ' +
          '`base_model_version` too (422 `serving_name_mismatch`).',
        querystring: ResolveNameQuery,
        response: { 200: ServedVersion },
      },
    },
    (request) => service(request).resolveName(request.query, tenantScope(request)),
  );
  app.get(
    '/base-model-versions/:id/current',
    {
      onRequest: requireScope('serving:read'),
      schema: {
        ...operation('listCurrentVersions', 'List what is to be served on a base model version'),
        description:
          'By the identifiers of the adapters, or, with `changed_after`, in the order in which changes were ' +
          'committed, which is the way to follow a fleet: begin with `changed_after=0` and go on with the ' +
          '`next_changed_after` of each answer. It misses no change. Who was away for longer than the grace time of ' +
          'deletions begins again, because what is collected is named no more.',
        params: CurrentOfBaseParams,
        querystring: CurrentOfBaseQuery,
        response: { 200: CurrentOfBase },
      },
    },
    (request) => service(request).listCurrent(request.params.id, request.query, tenantScope(request)),
  );
};
export default servingRoutes;
