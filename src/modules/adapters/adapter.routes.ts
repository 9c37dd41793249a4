import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { ModuleOptions } from '../../app-dependencies.ts';
import { pageOf } from '../../lib/pagination.ts';
import { answerOnce } from '../../plugins/idempotency/answer-once.ts';
import { requireScope, tenantScope } from '../../plugins/auth.ts';
import { createAdapterService } from './adapter.service.ts';
import { Adapter, AdapterParams, CreateAdapter, ListAdaptersQuery } from './adapter.schemas.ts';
import versionRoutes from './adapter-version.routes.ts';

const tags = ['Adapters'];

const adapterRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { config, deps }) => {
  const { db, artifacts, inspector } = deps;
  const service = createAdapterService({ db, artifacts, inspector, allowedRoots: config.allowedRoots });
  app.post(
    '/adapters',
    {
      onRequest: requireScope('tenant:write'),
      config: { problems: [404, 507] },
      schema: {
        tags,
        operationId: 'createAdapter',
        summary: 'Create an adapter',
        description:
          'Creates an adapter. With `source`, its first version is imported too, and either both are created or neither.',
        body: CreateAdapter,
        response: { 201: Adapter },
      },
    },
    (request, reply) =>
      answerOnce<Adapter>(
        request,
        reply,
        ({ id }) => ({ status: 201, location: `/v1/adapters/${id}` }),
        (record) => service.create(request.body, tenantScope(request), record),
      ),
  );
  app.get(
    '/adapters',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        tags,
        operationId: 'listAdapters',
        summary: 'List adapters, newest first',
        querystring: ListAdaptersQuery,
        response: { 200: pageOf(Adapter) },
      },
    },
    (request) => service.list(request.query, tenantScope(request)),
  );
  app.get(
    '/adapters/:id',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        tags,
        operationId: 'getAdapter',
        summary: 'Get an adapter',
        params: AdapterParams,
        response: { 200: Adapter },
      },
    },
    (request) => service.get(request.params.id, tenantScope(request)),
  );
  await app.register(versionRoutes, { service });
};
export default adapterRoutes;
