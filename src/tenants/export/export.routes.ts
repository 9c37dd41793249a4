import { Readable } from 'node:stream';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { ModuleDependencies, ModuleOptions } from '../../api/plugins/module-options.ts';
import { Binary, Id } from '../../platform/contract/schemas.ts';
import { requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { createAdapterService, createAdapterSources, type AdapterInspector } from '../../fleet/adapters/index.ts';
import { createDatasetService } from '../../fleet/datasets/index.ts';
import { createEventService } from '../../delivery/events/index.ts';
import { createJobService } from '../../fleet/jobs/index.ts';
import { createUploadRooms } from '../quotas/index.ts';
import { createTenantService } from '../tenants/index.ts';
import { createExportService } from './export.service.ts';

const operation = operationsOf('Tenants');
const ARCHIVE_TYPE = 'application/x-tar';

interface ExportDependencies extends ModuleDependencies {
  inspector: AdapterInspector;
}

const exportRoutes: FastifyPluginAsyncTypebox<ModuleOptions<ExportDependencies>> = async (app, { config, deps }) => {
  const sources = createAdapterSources({ config, logger: deps.logger });
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => {
    const confined = { ...deps, db };
    const rooms = createUploadRooms({ db, logger: deps.logger, quotas: config.quotas });
    return createExportService({
      artifacts: deps.artifacts,
      tenants: createTenantService(confined),
      datasets: createDatasetService({ ...confined, rooms, rowLimit: config.datasetRowLimit }),
      adapters: createAdapterService({ ...confined, rooms, sources, allowedRoots: config.allowedRoots }),
      jobs: createJobService(confined),
      events: createEventService(confined),
    });
  };
  app.get(
    '/tenants/:id/export',
    {
      onRequest: requireScope('tenant:admin'),
      schema: {
        ...operation('exportTenant', 'Export everything that a tenant has'),
        description:
          'Returns a tar archive with the datasets as JSONL, the versions of the adapters as PEFT folders, ' +
          'and the rows of ' +
          'datasets, adapters, versions (with the numbers of the rows that they have lost), jobs and events ' +
          'as JSON. It is read while it is sent: an archive that breaks off is ' +
          'incomplete.',
        params: Type.Object({ id: Id('tenant') }),
        response: {
          200: { description: 'The archive.', content: { [ARCHIVE_TYPE]: { schema: Binary('A tar archive.') } } },
        },
      },
    },
    async (request, reply) => {
      const { filename, chunks } = await service(request).open(request.params.id, tenantScope(request));
      reply.header('content-disposition', `attachment; filename="${filename}"`).header('cache-control', 'no-store');
      return reply.type(ARCHIVE_TYPE).send(Readable.from(chunks, { objectMode: false }));
    },
  );
};
export default exportRoutes;
