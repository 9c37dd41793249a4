import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { ModuleOptions } from '../../../api/plugins/module-options.ts';
import { requireScope, tenantScope } from '../../../api/plugins/auth.ts';
import { sendBytes } from '../../../api/plugins/answers/byte-ranges.ts';
import { signalOfClient } from '../../../api/plugins/client-signal.ts';
import { operationsOf } from '../../../api/plugins/openapi/operation.ts';
import { AdapterVersionParams } from '../adapter.schemas.ts';
import { createVersionFileService, type VersionFileReader } from './version-file.service.ts';
import { FILE_TYPE, FileContent, VersionFileParams, VersionFiles } from './version-file.schemas.ts';

const operation = operationsOf('Adapters');

const versionFileRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { deps: { artifacts } }) => {
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => createVersionFileService({ db, artifacts });
  const readerOf = (request: FastifyRequest, reply: FastifyReply): VersionFileReader => ({
    scope: tenantScope(request),
    gone: signalOfClient(reply),
  });
  app.get(
    '/adapters/:id/versions/:version_id/files',
    {
      onRequest: requireScope('serving:read'),
      config: { problems: [503] },
      schema: {
        ...operation('listAdapterVersionFiles', 'List the files of an adapter version, and where to get them'),
        description:
          'Where artifacts are in a bucket, each file has a presigned URL there, which works for a short time, so ' +
          'that its bytes do not pass through this API. Otherwise it has a path of this API. Each call checks the ' +
          'key, and a version that is deleted has no files; a URL that was given before works until it expires, also ' +
          'where the key has been revoked since.',
        params: AdapterVersionParams,
        response: { 200: VersionFiles },
      },
    },
    (request, reply) => {
      // The answer has URLs that give access to the files, so no cache may keep it and it gets no ETag.
      reply.header('cache-control', 'no-store');
      return service(request).list(request.params.id, request.params.version_id, readerOf(request, reply));
    },
  );
  app.get(
    '/adapters/:id/versions/:version_id/files/:name',
    {
      onRequest: requireScope('serving:read'),
      config: { problems: [416, 503] },
      schema: {
        ...operation('downloadAdapterVersionFile', 'Download one file of an adapter version'),
        description:
          'Answers with the bytes of the file, whether or not they are in a bucket. Its `ETag` is its SHA-256, so ' +
          'a download that broke off goes on with `Range` and `If-Range`, at any API process.',
        params: VersionFileParams,
        response: {
          200: FileContent,
          206: { ...FileContent, description: 'The range of the file that was asked for.' },
          304: Type.Null({ description: 'The client has the current answer already.' }),
        },
      },
    },
    async (request, reply) => {
      const { id, version_id: versionId, name } = request.params;
      const file = await service(request).open(id, versionId, name, readerOf(request, reply));
      reply.header('content-disposition', `attachment; filename="${name}"`).type(FILE_TYPE);
      return sendBytes(request, reply, { tag: `sha256:${file.sha256}`, open: () => Promise.resolve(file) });
    },
  );
};
export default versionFileRoutes;
