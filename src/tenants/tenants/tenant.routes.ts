import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { PageQuery, pageOf } from '../../platform/contract/pagination.ts';
import { requireOperator, requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { answerOnce, createdBelow } from '../../api/plugins/idempotency/answer-once.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { CreateTenant, Tenant, TenantParams } from './tenant.schemas.ts';
import { createTenantService } from './tenant.service.ts';

const operation = operationsOf('Tenants');

const tenantRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app) => {
  app.post(
    '/tenants',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('createTenant', 'Create a tenant'),
        description: 'Creates a tenant without keys. Create its first key with `POST /v1/api-keys`.',
        body: CreateTenant,
        response: { 201: Tenant },
      },
    },
    (request, reply) =>
      answerOnce<Tenant>(
        request,
        reply,
        ({ id }) => ({ ...createdBelow('/v1/tenants')({ id }), tenantId: id }),
        (record) => createTenantService(request).create(request.body, record),
      ),
  );
  app.get(
    '/tenants',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('listTenants', 'List tenants, newest first'),
        description: 'Lists all tenants that are not deleted.',
        querystring: PageQuery,
        response: { 200: pageOf(Tenant) },
      },
    },
    (request) => createTenantService(request).list(request.query),
  );
  app.get(
    '/tenants/:id',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('getTenant', 'Get a tenant'),
        description: 'Answers with the tenant that the identifier is of.',
        params: TenantParams,
        response: { 200: Tenant },
      },
    },
    (request) => createTenantService(request).get(request.params.id, tenantScope(request)),
  );
};
export default tenantRoutes;
