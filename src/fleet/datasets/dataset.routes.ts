import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { SETTINGS } from '../../platform/config/settings.ts';
import { pageOf } from '../../platform/contract/pagination.ts';
import { requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { answerOnce, createdBelow } from '../../api/plugins/idempotency/answer-once.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { acceptUploads, uploadOf } from '../../api/plugins/request-body/upload-body.ts';
import {
  CreateDatasetBody,
  CreatedDataset,
  CreateDatasetQuery,
  Dataset,
  DatasetParams,
  DATASET_TYPES,
  ListDatasetsQuery,
} from './dataset.schemas.ts';
import { createUploadRooms } from '../../tenants/quotas/index.ts';
import { createDatasetService } from './dataset.service.ts';

const operation = operationsOf('Datasets');

const datasetRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { config, deps }) => {
  const { artifacts, logger } = deps;
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => {
    const rooms = createUploadRooms({ db, logger, quotas: config.quotas });
    return createDatasetService({ db, artifacts, rooms, rowLimit: config.datasetRowLimit });
  };
  const limit = { what: 'dataset', maxBytes: config.uploadLimitBytes, setting: SETTINGS.uploadLimitBytes.variable };
  app.removeAllContentTypeParsers();
  acceptUploads(app, DATASET_TYPES);
  app.post(
    '/datasets',
    {
      onRequest: requireScope('tenant:write'),
      config: { problems: [404, 507] },
      schema: {
        ...operation('createDataset', 'Upload a dataset'),
        description: 'The rows are checked while they are uploaded. A dataset with a bad row is refused as a whole.',
        querystring: CreateDatasetQuery,
        body: CreateDatasetBody,
        response: { 201: CreatedDataset },
      },
    },
    async (request, reply) => {
      const upload = uploadOf(request, DATASET_TYPES, limit);
      return answerOnce<CreatedDataset>(request, reply, createdBelow('/v1/datasets'), (record) =>
        service(request).create(request.query, tenantScope(request), upload, record),
      );
    },
  );
  app.get(
    '/datasets',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('listDatasets', 'List datasets, newest first'),
        description: 'Lists datasets without their rows, which the service never answers with.',
        querystring: ListDatasetsQuery,
        response: { 200: pageOf(Dataset) },
      },
    },
    (request) => service(request).list(request.query, tenantScope(request)),
  );
  app.get(
    '/datasets/:id',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('getDataset', 'Get a dataset'),
        description: 'Answers with the number of rows by split, and never with rows.',
        params: DatasetParams,
        response: { 200: Dataset },
      },
    },
    (request) => service(request).get(request.params.id, tenantScope(request)),
  );
};
export default datasetRoutes;
