import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { Id } from '../../platform/contract/schemas.ts';
import { recordChangeOf } from '../../api/plugins/audit.ts';
import { requireOperator, requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { createDeletionService } from './deletion.service.ts';

const datasets = operationsOf('Datasets');
const adapters = operationsOf('Adapters');
const tenants = operationsOf('Tenants');

const LATER =
  'It is gone at once, and its files and rows are removed when the grace time is over. Deleting it again ' +
  'changes nothing.';
const Deleted = Type.Null({ description: 'Empty: the resource is deleted.' });

const deletionRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { deps }) => {
  const { producer } = deps;
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => createDeletionService({ db, producer });
  app.delete(
    '/datasets/:id',
    {
      onRequest: requireScope('tenant:write'),
      config: { problems: [409] },
      schema: {
        ...datasets('deleteDataset', 'Delete a dataset'),
        description: `A dataset that an adapter has cannot be deleted (\`dataset_in_use\`). ${LATER}`,
        params: Type.Object({ id: Id('dataset') }),
        response: { 204: Deleted },
      },
    },
    async (request, reply) => {
      await service(request).deleteDataset(request.params.id, tenantScope(request), recordChangeOf(request));
      return reply.code(204).send(null);
    },
  );
  app.delete(
    '/adapters/:id',
    {
      onRequest: requireScope('tenant:write'),
      schema: {
        ...adapters('deleteAdapter', 'Delete an adapter'),
        description: `Deletes an adapter with all its versions, and cancels its jobs. ${LATER}`,
        params: Type.Object({ id: Id('adapter') }),
        response: { 204: Deleted },
      },
    },
    async (request, reply) => {
      await service(request).deleteAdapter(request.params.id, tenantScope(request), recordChangeOf(request));
      return reply.code(204).send(null);
    },
  );
  app.delete(
    '/adapters/:id/versions/:version_id',
    {
      onRequest: requireScope('tenant:write'),
      config: { problems: [409] },
      schema: {
        ...adapters('deleteAdapterVersion', 'Delete an adapter version'),
        description:
          'Neither the latest version of an adapter (`latest_version`), nor one that is current on its base ' +
          'model version ' +
          `(\`current_version\`), nor one that a job carries over (\`version_in_use\`) can be deleted. ${LATER}`,
        params: Type.Object({ id: Id('adapter'), version_id: Id('adapterVersion') }),
        response: { 204: Deleted },
      },
    },
    async (request, reply) => {
      await service(request).deleteVersion(
        request.params.id,
        request.params.version_id,
        tenantScope(request),
        recordChangeOf(request),
      );
      return reply.code(204).send(null);
    },
  );
  app.delete(
    '/tenants/:id',
    {
      onRequest: requireOperator,
      schema: {
        ...tenants('deleteTenant', 'Delete a tenant'),
        description:
          'Deletes a tenant with everything that it has: its keys are refused and its jobs cancelled. Export ' +
          'it first: see ' +
          `\`exportTenant\`. ${LATER}`,
        params: Type.Object({ id: Id('tenant') }),
        response: { 204: Deleted },
      },
    },
    async (request, reply) => {
      await service(request).deleteTenant(request.params.id, recordChangeOf(request));
      return reply.code(204).send(null);
    },
  );
};
export default deletionRoutes;
