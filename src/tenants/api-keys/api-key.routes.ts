import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { pageOf } from '../../platform/contract/pagination.ts';
import { recordChangeOf } from '../../api/plugins/audit.ts';
import { requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { answerOnce } from '../../api/plugins/idempotency/answer-once.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import {
  ApiKey,
  ApiKeyParams,
  Caller,
  CreateApiKey,
  CreatedApiKey,
  ListApiKeys,
  RotateApiKey,
} from './api-key.schemas.ts';
import { createApiKeyService } from './api-key.service.ts';

const operation = operationsOf('API keys');

const apiKeyRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { config }) => {
  const service = ({ db }: Pick<FastifyRequest, 'db'>) => createApiKeyService({ db, quotas: config.quotas });
  app.post(
    '/api-keys',
    {
      onRequest: requireScope('tenant:admin'),
      config: { idempotencySecrets: ['key'], problems: [404], location: false },
      schema: {
        ...operation('createApiKey', 'Create an API key'),
        description: 'The answer has the whole key. It is not stored and cannot be shown again.',
        body: CreateApiKey,
        response: { 201: CreatedApiKey },
      },
    },
    (request, reply) =>
      answerOnce<CreatedApiKey>(
        request,
        reply,
        ({ id, tenant_id: tenantId }) => ({ status: 201, subjectId: id, tenantId }),
        (record) => service(request).create(request.body, tenantScope(request), record),
      ),
  );
  app.post(
    '/api-keys/:id/rotate',
    {
      onRequest: requireScope('tenant:admin'),
      config: { idempotencySecrets: ['key'], location: false },
      schema: {
        ...operation('rotateApiKey', 'Replace an API key by a new one'),
        description:
          'Creates a key with the name, the owner and the scopes of the old one, which expires after ' +
          '`overlap_ms`, so that ' +
          'clients can change over without an interruption. The answer has the whole new key, which cannot ' +
          'be shown again.',
        params: ApiKeyParams,
        body: RotateApiKey,
        response: { 201: CreatedApiKey },
      },
    },
    (request, reply) =>
      answerOnce<CreatedApiKey>(
        request,
        reply,
        ({ id, tenant_id: tenantId }) => ({ status: 201, subjectId: id, tenantId }),
        (record) => service(request).rotate(request.params.id, request.body, tenantScope(request), record),
      ),
  );
  app.get(
    '/api-keys',
    {
      onRequest: requireScope('tenant:admin'),
      config: { problems: [404] },
      schema: {
        ...operation('listApiKeys', 'List API keys, newest first'),
        description: 'Lists keys without their secrets, also those that are revoked or have expired.',
        querystring: ListApiKeys,
        response: { 200: pageOf(ApiKey) },
      },
    },
    (request) => service(request).list(request.query, tenantScope(request)),
  );
  app.delete(
    '/api-keys/:id',
    {
      onRequest: requireScope('tenant:admin'),
      schema: {
        ...operation('revokeApiKey', 'Revoke an API key'),
        description:
          'The key cannot be used any more. Other API processes may take it for a second more. Revoking it ' +
          'again changes nothing.',
        params: ApiKeyParams,
        response: { 204: Type.Null({ description: 'The key is revoked and cannot be used any more.' }) },
      },
    },
    async (request, reply) => {
      await service(request).revoke(request.params.id, tenantScope(request), recordChangeOf(request));
      return reply.code(204).send(null);
    },
  );
  app.get(
    '/whoami',
    {
      // Every scope of a tenant includes this one.
      onRequest: requireScope('serving:read'),
      schema: {
        ...operation('whoami', 'Say whose key this is, and what it may do'),
        description: 'For signing in: it needs a key that works, and no more than that.',
        response: { 200: Caller },
      },
    },
    (request) => service(request).caller(request.principal),
  );
};
export default apiKeyRoutes;
