import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { UPLOAD_LIMIT_VARIABLE } from '../../config/variables.ts';
import { AppError } from '../../lib/errors.ts';
import { PageQuery, pageOf } from '../../lib/pagination.ts';
import { requireScope, tenantScope } from '../../plugins/auth.ts';
import { sendBytes } from '../../plugins/byte-ranges.ts';
import { answerOnce, type AnswerHead } from '../../plugins/idempotency/answer-once.ts';
import { operationsOf } from '../../plugins/openapi/operation.ts';
import { acceptUploads, uploadOf, type UploadLimit } from '../../plugins/request-body/upload-body.ts';
import { ARCHIVE_LIMIT_BYTES } from './adapter-archive.ts';
import {
  AdapterParams,
  AdapterVersion,
  AdapterVersionParams,
  ARCHIVE_TYPE,
  CreateVersionBody,
  CreateVersionQuery,
  NegativeFlip,
  VersionArchive,
  type FolderSource,
} from './adapter.schemas.ts';
import type { AdapterService } from './adapter.service.ts';

const operation = operationsOf('Adapters');

interface VersionRoutesOptions {
  service: (request: Pick<FastifyRequest, 'db'>) => AdapterService;
  uploadLimitBytes: number;
}

const versionRoutes: FastifyPluginAsyncTypebox<VersionRoutesOptions> = async (app, { service, uploadLimitBytes }) => {
  acceptUploads(app, ARCHIVE_TYPE);
  const limit = archiveLimit(uploadLimitBytes);
  app.post(
    '/adapters/:id/versions',
    {
      onRequest: requireScope('tenant:write'),
      config: { problems: [507] },
      schema: {
        ...operation('importAdapterVersion', 'Import an adapter version'),
        description:
          'Imports the next version of an adapter from a tar archive, with `base_model_version` as a query parameter, or ' +
          'from a folder that the service can read. Every tensor is checked against the base model version on which the ' +
          'adapter was trained. If the import is refused, nothing of it is stored.',
        params: AdapterParams,
        querystring: CreateVersionQuery,
        body: CreateVersionBody,
        response: { 201: AdapterVersion },
      },
    },
    async (request, reply) => {
      const isArchive = request.body instanceof Readable;
      // The body of an archive is a stream; any other body was validated as a FolderSource.
      const body = (isArchive ? undefined : request.body) as FolderSource | undefined;
      const baseModelVersion = named(body?.base_model_version, request.query.base_model_version);
      const source = body === undefined ? { archive: uploadOf(request, ARCHIVE_TYPE, limit) } : { path: body.path };
      return answerOnce<AdapterVersion>(request, reply, headOfVersion, (record) =>
        service(request).importVersion(request.params.id, baseModelVersion, source, {
          scope: tenantScope(request),
          record,
        }),
      );
    },
  );
  app.get(
    '/adapters/:id/versions',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('listAdapterVersions', 'List the versions of an adapter, newest first'),
        params: AdapterParams,
        querystring: PageQuery,
        response: { 200: pageOf(AdapterVersion) },
      },
    },
    (request) => service(request).listVersions(request.params.id, request.query, tenantScope(request)),
  );
  app.get(
    '/adapters/:id/versions/:version_id',
    {
      onRequest: requireScope('serving:read'),
      schema: {
        ...operation('getAdapterVersion', 'Get an adapter version'),
        params: AdapterVersionParams,
        response: { 200: AdapterVersion },
      },
    },
    (request) => service(request).getVersion(request.params.id, request.params.version_id, tenantScope(request)),
  );
  app.get(
    '/adapters/:id/versions/:version_id/negative-flips',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('listNegativeFlips', 'List the rows that an adapter version has lost'),
        description:
          'Lists the gate rows that the version before had right and this one has wrong, measured when it was published, in the order ' +
          'of the dataset: the first 1,000 of them. How many there are says `negative_flips` of its `metrics`, as a share of ' +
          '`examples`. Empty where rows are neither right nor wrong, and where the gate compares with no version. The texts of ' +
          'rows are never stored here.',
        params: AdapterVersionParams,
        querystring: PageQuery,
        response: { 200: pageOf(NegativeFlip) },
      },
    },
    (request) =>
      service(request).listFlips(request.params.id, request.params.version_id, request.query, tenantScope(request)),
  );
  app.get(
    '/adapters/:id/versions/:version_id/download',
    {
      onRequest: requireScope('serving:read'),
      config: { problems: [416, 503] },
      schema: {
        ...operation('downloadAdapterVersion', 'Download an adapter version'),
        description:
          'Returns the PEFT folder of the version as a tar archive, ready for a serving engine, with `readapt.json` if it has one. The ' +
          'archive of a version has always the same bytes, so a download that broke off goes on with `Range` and `If-Range`. ' +
          '`Want-Repr-Digest: sha-256=1` asks for the SHA-256 of the whole archive (`Repr-Digest`, RFC 9530), which takes the server as long ' +
          'as to read it. `digest` of the version is that of the files: see `AdapterVersion`.',
        params: AdapterVersionParams,
        response: {
          200: VersionArchive,
          206: { ...VersionArchive, description: 'The range of the archive that was asked for.' },
          304: Type.Null({ description: 'The client has the current answer already.' }),
        },
      },
    },
    async (request, reply) => {
      const found = await service(request).download(request.params.id, request.params.version_id, tenantScope(request));
      reply.header('content-disposition', `attachment; filename="${found.filename}"`).type(ARCHIVE_TYPE);
      return sendBytes(request, reply, { tag: found.digest, open: found.open });
    },
  );
};
export default versionRoutes;

/** An archive that is larger than all files of an adapter together is refused even if the setting allows it. */
function archiveLimit(uploadLimitBytes: number): UploadLimit {
  if (uploadLimitBytes > ARCHIVE_LIMIT_BYTES) return { what: 'archive', maxBytes: ARCHIVE_LIMIT_BYTES };
  return { what: 'archive', maxBytes: uploadLimitBytes, setting: UPLOAD_LIMIT_VARIABLE };
}

function headOfVersion(version: AdapterVersion): AnswerHead {
  const { id: subjectId, tenant_id: tenantId } = version;
  return { status: 201, location: `/v1/adapters/${version.adapter_id}/versions/${version.id}`, subjectId, tenantId };
}

/** The base model version that the body or the query names. @throws AppError 400 `invalid_request` */
function named(inBody: string | undefined, inQuery: string | undefined): string {
  if (inBody !== undefined && inQuery !== undefined && inBody !== inQuery) {
    throw invalid('base_model_version has different values in the body and in the query');
  }
  const reference = inBody ?? inQuery;
  if (reference === undefined) throw invalid('query: base_model_version is missing');
  return reference;
}

function invalid(message: string): AppError {
  return new AppError({ code: 'invalid_request', status: 400, message });
}
