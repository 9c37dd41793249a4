import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { ModuleDependencies, ModuleOptions } from '../../api/plugins/module-options.ts';
import { pageOf } from '../../platform/contract/pagination.ts';
import { recordChangeOf } from '../../api/plugins/audit.ts';
import { requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { answerOnce, createdBelow } from '../../api/plugins/idempotency/answer-once.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { signalOfClient } from '../../api/plugins/client-signal.ts';
import { createUploadRooms } from '../../tenants/quotas/index.ts';
import versionRoutes from './adapter-version.routes.ts';
import {
  AdapterResource,
  AdapterParams,
  CreateAdapter,
  CreatedAdapter,
  ListAdaptersQuery,
  UpdateAdapter,
  UpdatedAdapter,
} from './adapter.schemas.ts';
import { createAdapterService } from './adapter.service.ts';
import type { AdapterInspector } from './inspection/adapter-inspector.ts';
import { createAdapterSources } from './sources/adapter-sources.ts';

const operation = operationsOf('Adapters');

interface AdapterDependencies extends ModuleDependencies {
  inspector: AdapterInspector;
}

const adapterRoutes: FastifyPluginAsyncTypebox<ModuleOptions<AdapterDependencies>> = async (app, { config, deps }) => {
  const { artifacts, inspector, logger } = deps;
  const sources = createAdapterSources({ config, logger });
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => {
    const rooms = createUploadRooms({ db, logger, quotas: config.quotas });
    return createAdapterService({ db, artifacts, inspector, rooms, sources, allowedRoots: config.allowedRoots });
  };
  app.post(
    '/adapters',
    {
      onRequest: requireScope('tenant:write'),
      config: { problems: [404, 507] },
      schema: {
        ...operation('createAdapter', 'Create an adapter'),
        description:
          'Creates an adapter. With `source`, its first version is imported too, from a folder, a hub or a bucket, ' +
          'and either both are created or neither. A dataset of prompts alone is refused for the metrics ' +
          '`accuracy` and `loss` (422 `metric_needs_answers`). `gate_advice` says what the gate rows of its ' +
          'dataset can certify.',
        body: CreateAdapter,
        response: { 201: CreatedAdapter },
      },
    },
    (request, reply) =>
      answerOnce<CreatedAdapter>(request, reply, createdBelow('/v1/adapters'), (record) =>
        service(request).create(request.body, { scope: tenantScope(request), gone: signalOfClient(reply), record }),
      ),
  );
  app.get(
    '/adapters',
    {
      onRequest: requireScope('serving:read'),
      schema: {
        ...operation('listAdapters', 'List adapters'),
        description:
          'Newest first, unless `sort` says otherwise. A gateway polls it with the ' +
          '`base_model_version_id` that it serves, and takes `current` of each adapter.',
        querystring: ListAdaptersQuery,
        response: { 200: pageOf(AdapterResource) },
      },
    },
    (request) => service(request).list(request.query, tenantScope(request)),
  );
  app.get(
    '/adapters/:id',
    {
      onRequest: requireScope('serving:read'),
      schema: {
        ...operation('getAdapter', 'Get an adapter'),
        description: 'Answers with the adapter, its latest version, and the versions that should be served.',
        params: AdapterParams,
        response: { 200: AdapterResource },
      },
    },
    (request) => service(request).get(request.params.id, tenantScope(request)),
  );
  app.patch(
    '/adapters/:id',
    {
      onRequest: requireScope('tenant:write'),
      config: { problems: [409, 422] },
      schema: {
        ...operation('updateAdapter', "Change an adapter's dataset, its gate, its labels, its pin or its approval"),
        description:
          'Labels take the place of all that it had. A pin and an approval concern jobs that are planned from now ' +
          'on; jobs that exist go on until they are cancelled. With another dataset, the next rollout measures the ' +
          'adapter on the new rows, also what it did before. Without a dataset, its jobs fail (`dataset_missing`). ' +
          'While a job of it waits or runs, its dataset and its gate stay (409 `adapter_in_use`). A dataset that ' +
          'is known to have no gate row in a slice that the gate names is refused (422 `unknown_slice`), and so is ' +
          'one of prompts alone for the metrics `accuracy` and `loss` (422 `metric_needs_answers`). ' +
          '`gate_advice` says what the gate rows of the new one can certify.',
        params: AdapterParams,
        body: UpdateAdapter,
        response: { 200: UpdatedAdapter },
      },
    },
    (request) =>
      service(request).update(request.params.id, request.body, tenantScope(request), recordChangeOf(request)),
  );
  await app.register(versionRoutes, { service, uploadLimitBytes: config.uploadLimitBytes });
};
export default adapterRoutes;
