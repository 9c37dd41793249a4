import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { SETTINGS } from '../../platform/config/settings.ts';
import type { UploadLimit } from '../../platform/contract/upload.ts';
import { PageQuery, pageOf } from '../../platform/contract/pagination.ts';
import { requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { sendBytes } from '../../api/plugins/answers/byte-ranges.ts';
import { signalOfClient } from '../../api/plugins/client-signal.ts';
import { answerOnce, type AnswerHead } from '../../api/plugins/idempotency/answer-once.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { acceptUploads, uploadOf } from '../../api/plugins/request-body/upload-body.ts';
import { ARCHIVE_LIMIT_BYTES } from './adapter-archive.ts';
import {
  AdapterFiles,
  AdapterParams,
  AdapterVersion,
  AdapterVersionParams,
  ARCHIVE_TYPE,
  ARCHIVE_TYPES,
  NegativeFlipResource,
  UploadVersionBody,
  UploadVersionQuery,
  VersionArchive,
} from './adapter.schemas.ts';
import type { AdapterService } from './adapter.service.ts';
import { toGivenAdapter, type GivenAdapter } from './sources/given-adapter.ts';

const operation = operationsOf('Adapters');

/** Source of the files of a version to import, and the base model version on which it was trained. */
interface NamedSource {
  readonly baseModelVersion: string;
  readonly from: GivenAdapter;
}

interface VersionRoutesOptions {
  service: (request: Pick<FastifyRequest, 'db'>) => AdapterService;
  uploadLimitBytes: number;
}

const versionRoutes: FastifyPluginAsyncTypebox<VersionRoutesOptions> = async (app, options) => {
  const { service } = options;
  app.post(
    '/adapters/:id/versions',
    {
      onRequest: requireScope('tenant:write'),
      config: { problems: [507] },
      schema: {
        ...operation('importAdapterVersion', 'Import an adapter version from a folder, a hub or a bucket'),
        description:
          'Imports the next version of an adapter from a folder that the service can read, or from a hub or a ' +
          'bucket, which it asks within the request. Every tensor is checked against the base model version on which ' +
          'the adapter was trained. If the import is refused, nothing of it is stored. Archives go to ' +
          '`…/versions/upload`.',
        params: AdapterParams,
        body: AdapterFiles,
        response: { 201: AdapterVersion },
      },
    },
    async (request, reply) => {
      const { base_model_version: baseModelVersion, ...files } = request.body;
      const from = toGivenAdapter(files, signalOfClient(reply));
      return importFrom(service, request, reply, { baseModelVersion, from });
    },
  );
  await app.register(uploadRoute, options);
  app.get(
    '/adapters/:id/versions',
    {
      onRequest: requireScope('tenant:read'),
      schema: {
        ...operation('listAdapterVersions', 'List the versions of an adapter, newest first'),
        description: 'Lists imported versions, versions that jobs have published, and provisional ones.',
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
        description: 'Answers with the version, also where a newer one is current.',
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
          'Lists the gate rows that the version before had right and this one has wrong, measured when it was ' +
          'published, in the order of the dataset: the first 1,000 of them. How many there are says ' +
          '`negative_flips` of its `metrics`, as a share of `examples`. Empty where rows are neither right nor ' +
          'wrong, and where the gate compares with no version. The texts of rows are never stored here.',
        params: AdapterVersionParams,
        querystring: PageQuery,
        response: { 200: pageOf(NegativeFlipResource) },
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
          'Returns the PEFT folder of the version as a tar archive, ready for a serving engine, with ' +
          '`readapt.json` if it has one. The archive of a version has always the same bytes, so a download that ' +
          'broke off goes on with `Range` and `If-Range`. `Want-Repr-Digest: sha-256=1` asks for the SHA-256 ' +
          'of the whole archive (`Repr-Digest`, RFC 9530), which takes the server as long as to read it. ' +
          '`digest` of the version is that of the files: see `AdapterVersion`.',
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

/**
 * Registers the route that takes uploads of adapter versions. It is a plugin of its own, so that no other route accepts
 * the content types of archives.
 */
const uploadRoute: FastifyPluginAsyncTypebox<VersionRoutesOptions> = async (app, { service, uploadLimitBytes }) => {
  acceptUploads(app, ARCHIVE_TYPES);
  const limit = archiveLimit(uploadLimitBytes);
  app.post(
    '/adapters/:id/versions/upload',
    {
      onRequest: requireScope('tenant:write'),
      config: { problems: [507] },
      schema: {
        ...operation('uploadAdapterVersion', 'Import an adapter version from a tar archive'),
        description:
          'Imports the next version of an adapter from the archive in the body. Every tensor is checked against the ' +
          'base model version on which the adapter was trained. If the import is refused, nothing of it is stored.',
        params: AdapterParams,
        querystring: UploadVersionQuery,
        body: UploadVersionBody,
        response: { 201: AdapterVersion },
      },
    },
    async (request, reply) => {
      const from = { archive: uploadOf(request, ARCHIVE_TYPES, limit) };
      return importFrom(service, request, reply, { baseModelVersion: request.query.base_model_version, from });
    },
  );
};

function importFrom(
  service: VersionRoutesOptions['service'],
  request: FastifyRequest,
  reply: FastifyReply,
  { baseModelVersion, from }: NamedSource,
) {
  const { id } = request.params as { id: string };
  return answerOnce<AdapterVersion>(request, reply, headOfVersion, (record) =>
    service(request).importVersion({
      adapterId: id,
      baseModelVersion,
      given: from,
      scope: tenantScope(request),
      record,
    }),
  );
}

/**
 * Determines the size limit of an uploaded archive: the limit that the operator has set, or the size of the largest
 * archive of an adapter if that is smaller.
 */
function archiveLimit(uploadLimitBytes: number): UploadLimit {
  if (uploadLimitBytes > ARCHIVE_LIMIT_BYTES) return { what: 'archive', maxBytes: ARCHIVE_LIMIT_BYTES };
  return { what: 'archive', maxBytes: uploadLimitBytes, setting: SETTINGS.uploadLimitBytes.variable };
}

function headOfVersion(version: AdapterVersion): AnswerHead {
  const { id: subjectId, tenant_id: tenantId } = version;
  return { status: 201, location: `/v1/adapters/${version.adapter_id}/versions/${version.id}`, subjectId, tenantId };
}
