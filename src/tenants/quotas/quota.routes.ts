import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { recordChangeOf } from '../../api/plugins/audit.ts';
import { requireOperator, requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { QuotaParams, SetTenantQuotas, TenantQuotas } from './quota.schemas.ts';
import { createQuotaService } from './quota.service.ts';

const operation = operationsOf('Tenants');

const quotaRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { config }) => {
  const { quotas: defaults, rateLimitPerMinute: requestsPerMinute } = config;
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => createQuotaService({ db, defaults, requestsPerMinute });
  app.get(
    '/tenants/:id/quotas',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('getTenantQuotas', 'Get what a tenant may have, and what it has'),
        description: 'Answers with each limit, how much of it is used, and whether it is the default of the service.',
        params: QuotaParams,
        response: { 200: TenantQuotas },
      },
    },
    (request) => service(request).get(request.params.id, tenantScope(request)),
  );
  app.put(
    '/tenants/:id/quotas',
    {
      onRequest: requireOperator,
      schema: {
        ...operation('setTenantQuotas', 'Give a tenant limits of its own'),
        description:
          'Replaces all limits of the tenant. What it has already stays, even if it is more than a new limit.',
        params: QuotaParams,
        body: SetTenantQuotas,
        response: { 200: TenantQuotas },
      },
    },
    (request) => service(request).set(request.params.id, request.body, recordChangeOf(request)),
  );
};
export default quotaRoutes;
