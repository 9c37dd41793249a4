import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { pageOf } from '../../platform/contract/pagination.ts';
import { recordChangeOf } from '../../api/plugins/audit.ts';
import { requireOperator } from '../../api/plugins/auth.ts';
import { answerOnce, createdBelow } from '../../api/plugins/idempotency/answer-once.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { acceptUploads, uploadOf } from '../../api/plugins/request-body/upload-body.ts';
import {
  BaseModelUpload,
  BaseModelUploadEntry,
  BaseModelUploadParams,
  CreateBaseModelUpload,
  ListBaseModelUploads,
  PART_TYPES,
  PartBody,
  PartHeaders,
  PartParams,
  UploadedPart,
} from './base-upload.schemas.ts';
import { createBaseUploadService } from './base-upload.service.ts';
import { createPartSlots, MOST_AT_A_TIME } from './part-slots.ts';
import { sha256Of } from './received-part.ts';

const operation = operationsOf('Base models');

const baseUploadRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { config, deps: { artifacts } }) => {
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => createBaseUploadService({ db, artifacts, limits: config });
  const onRequest = requireOperator;
  const inSlot = createPartSlots();
  acceptUploads(app, PART_TYPES);
  app.post(
    '/base-model-uploads',
    {
      onRequest,
      schema: {
        ...operation('createBaseModelUpload', 'Begin to upload a base model'),
        description:
          'Says which files will be sent. Send their parts with `PUT …/files/{file}/parts/{number}`, in any order ' +
          'and several at a time, and then `POST …/complete`. Where a connection is cut, `GET …` says which ' +
          'parts are missing.',
        body: CreateBaseModelUpload,
        response: { 201: BaseModelUpload },
      },
    },
    (request, reply) =>
      answerOnce<BaseModelUpload>(request, reply, createdBelow('/v1/base-model-uploads'), (record) =>
        service(request).create(request.body, record),
      ),
  );
  app.get(
    '/base-model-uploads',
    {
      onRequest,
      schema: {
        ...operation('listBaseModelUploads', 'List uploads of base models, newest first'),
        description: 'Lists uploads without their files. `files_digest` finds those of the same files.',
        querystring: ListBaseModelUploads,
        response: { 200: pageOf(BaseModelUploadEntry) },
      },
    },
    (request) => service(request).list(request.query),
  );
  app.get(
    '/base-model-uploads/:id',
    {
      onRequest,
      config: { finalStates: ['complete', 'failed'] },
      schema: {
        ...operation('getBaseModelUpload', 'Get an upload of a base model'),
        description: 'Answers with each file and the parts of it that are missing.',
        params: BaseModelUploadParams,
        response: { 200: BaseModelUpload },
      },
    },
    (request) => service(request).get(request.params.id),
  );
  app.put(
    '/base-model-uploads/:id/files/:file/parts/:number',
    {
      onRequest,
      config: { problems: [409, 422, 507] },
      schema: {
        ...operation('putBaseModelUploadPart', 'Send a part of a file'),
        description:
          'Stores the part, in the place of one that is there. The part is there when this is answered, and may be ' +
          `sent again if it was not. A process receives ${MOST_AT_A_TIME} parts at a time and answers others with ` +
          '429 and `Retry-After`.',
        params: PartParams,
        headers: PartHeaders,
        body: PartBody,
        response: { 200: UploadedPart },
      },
    },
    (request) => {
      const { id: uploadId, file: fileName, number } = request.params;
      const sha256 = sha256Of(request.headers['content-digest']);
      // No limit here: the service knows the length of the part and reads no further.
      const upload = uploadOf(request, PART_TYPES, { what: 'part', maxBytes: Number.MAX_SAFE_INTEGER });
      const key = { uploadId, fileName, number };
      return inSlot(() => service(request).putPart(key, { ...upload, sha256 }, recordChangeOf(request)));
    },
  );
  app.post(
    '/base-model-uploads/:id/complete',
    {
      onRequest,
      schema: {
        ...operation('completeBaseModelUpload', 'Have an upload verified of which all parts are there'),
        description:
          'The files are read, compared with their SHA-256, and checked, archives too, which takes a while: the ' +
          'upload is `verifying`. Then it is `complete` and versions can be registered from it, or `open` ' +
          'again where a file has to be sent again, or `failed`.',
        params: BaseModelUploadParams,
        response: { 202: BaseModelUpload },
      },
    },
    (request, reply) => {
      const { id } = request.params;
      const head = { status: 202 as const, location: `/v1/base-model-uploads/${id}`, subjectId: id, tenantId: null };
      return answerOnce<BaseModelUpload>(
        request,
        reply,
        () => head,
        (record) => service(request).complete(id, record),
      );
    },
  );
  app.delete(
    '/base-model-uploads/:id',
    {
      onRequest,
      config: { problems: [409] },
      schema: {
        ...operation('deleteBaseModelUpload', 'Remove an upload of a base model'),
        description: 'Removes an upload that no version has the files of. What was sent is removed later.',
        params: BaseModelUploadParams,
        response: { 204: Type.Null({ description: 'The upload is removed.' }) },
      },
    },
    async (request, reply) => {
      await service(request).delete(request.params.id, recordChangeOf(request));
      return reply.code(204).send(null);
    },
  );
};
export default baseUploadRoutes;
