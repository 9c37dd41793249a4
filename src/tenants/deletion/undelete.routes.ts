import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { Id } from '../../platform/contract/schemas.ts';
import { recordChangeOf } from '../../api/plugins/audit.ts';
import { requireOperator, requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { AdapterResource, AdapterVersion } from '../../fleet/adapters/index.ts';
import { Dataset } from '../../fleet/datasets/index.ts';
import { Tenant } from '../tenants/index.ts';
import { createUndeleteService } from './undelete.service.ts';

const datasets = operationsOf('Datasets');
const adapters = operationsOf('Adapters');
const tenants = operationsOf('Tenants');

const UNTIL =
  'It is possible for the grace time of deletions at least, until workers begin to remove what was deleted ' +
  '(404, or 410 ' +
  '`grace_time_over` meanwhile). What is not deleted stays as it is.';

const undeleteRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app) => {
  app.post(
    '/datasets/:id/undelete',
    {
      onRequest: requireScope('tenant:write'),
      config: { problems: [409] },
      schema: {
        ...datasets('undeleteDataset', 'Undelete a dataset'),
        description:
          `If another dataset has its name by now, that one has to go first (409 ` + `\`dataset_exists\`). ${UNTIL}`,
        params: Type.Object({ id: Id('dataset') }),
        response: { 200: Dataset },
      },
    },
    (request) =>
      createUndeleteService(request).undeleteDataset(request.params.id, tenantScope(request), recordChangeOf(request)),
  );
  app.post(
    '/adapters/:id/undelete',
    {
      onRequest: requireScope('tenant:write'),
      config: { problems: [409, 410] },
      schema: {
        ...adapters('undeleteAdapter', 'Undelete an adapter'),
        description:
          'Brings an adapter back with the versions that it had. Its jobs stay cancelled; the next rollout ' +
          'takes it again. ' +
          'If another adapter has its name by now, that one has to go first (409 `adapter_exists`); if its ' +
          'dataset is deleted ' +
          `too, undelete that one first (409 \`dataset_deleted\`). ${UNTIL}`,
        params: Type.Object({ id: Id('adapter') }),
        response: { 200: AdapterResource },
      },
    },
    (request) =>
      createUndeleteService(request).undeleteAdapter(request.params.id, tenantScope(request), recordChangeOf(request)),
  );
  app.post(
    '/adapters/:id/versions/:version_id/undelete',
    {
      onRequest: requireScope('tenant:write'),
      schema: {
        ...adapters('undeleteAdapterVersion', 'Undelete an adapter version'),
        description: `The versions of a deleted adapter come back with it, unless they were deleted before. ${UNTIL}`,
        params: Type.Object({ id: Id('adapter'), version_id: Id('adapterVersion') }),
        response: { 200: AdapterVersion },
      },
    },
    (request) =>
      createUndeleteService(request).undeleteVersion(
        request.params.id,
        request.params.version_id,
        tenantScope(request),
        recordChangeOf(request),
      ),
  );
  app.post(
    '/tenants/:id/undelete',
    {
      onRequest: requireOperator,
      config: { problems: [409, 410] },
      schema: {
        ...tenants('undeleteTenant', 'Undelete a tenant'),
        description:
          'Brings a tenant back with everything that it had; its keys can be used again, and its jobs stay ' +
          'cancelled. If another ' +
          `tenant has its name by now, that one has to go first (409 \`tenant_exists\`). ${UNTIL}`,
        params: Type.Object({ id: Id('tenant') }),
        response: { 200: Tenant },
      },
    },
    (request) => createUndeleteService(request).undeleteTenant(request.params.id, recordChangeOf(request)),
  );
};
export default undeleteRoutes;
