import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { ModuleOptions } from '../../../api/plugins/module-options.ts';
import { recordChangeOf } from '../../../api/plugins/audit.ts';
import { requireScope, tenantScope } from '../../../api/plugins/auth.ts';
import { operationsOf } from '../../../api/plugins/openapi/operation.ts';
import { CurrentVersion, CurrentVersionParams, SetCurrentVersion } from '../adapter.schemas.ts';
import { createCurrentVersionService } from './current-version.service.ts';

const operation = operationsOf('Adapters');

const currentVersionRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app) => {
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => createCurrentVersionService({ db });
  const keyOf = (params: { id: string; base_model_version_id: string }) => {
    return { adapterId: params.id, baseModelVersionId: params.base_model_version_id };
  };
  app.get(
    '/adapters/:id/current/:base_model_version_id',
    {
      onRequest: requireScope('serving:read'),
      schema: {
        ...operation(
          'getCurrentVersion',
          'Get the version of an adapter that should be served on a base model version',
        ),
        description:
          'Answers for any base model version; an adapter itself shows the newest 20. `version_id` is ' +
          'null where none should be served.',
        params: CurrentVersionParams,
        response: { 200: CurrentVersion },
      },
    },
    (request) => service(request).get(keyOf(request.params), tenantScope(request)),
  );
  app.put(
    '/adapters/:id/current/:base_model_version_id',
    {
      onRequest: requireScope('tenant:write'),
      config: { problems: [409, 422] },
      schema: {
        ...operation('setCurrentVersion', 'Roll an adapter back, or forward again'),
        description:
          'Makes another version of the adapter current on a base model version, or none. No work is started, and ' +
          '`latest_version`, which the next rollout carries over, stays what it is. If something else than ' +
          '`expected_version_id` is current, nothing changes (409 `current_version_changed` with ' +
          '`current_version_id`); if `version_id` is current already, nothing changes either, so the request can ' +
          'be sent again. What the job of the version before publishes later does not become current by itself.',
        params: CurrentVersionParams,
        body: SetCurrentVersion,
        response: { 200: CurrentVersion },
      },
    },
    (request) =>
      service(request).set(keyOf(request.params), request.body, tenantScope(request), recordChangeOf(request)),
  );
};
export default currentVersionRoutes;
