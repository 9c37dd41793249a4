import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import type { ModuleOptions } from '../../app-dependencies.ts';
import { pageOf } from '../../lib/pagination.ts';
import { requireScope, tenantScope } from '../../plugins/auth.ts';
import { answerOnce } from '../../plugins/idempotency/answer-once.ts';
import { operationsOf } from '../../plugins/openapi/operation.ts';
import { ApiKey, ApiKeyParams, CreateApiKey, CreatedApiKey, ListApiKeys } from './api-key.schemas.ts';
import { createApiKeyService } from './api-key.service.ts';

const operation = operationsOf('API keys');

const apiKeyRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app) => {
  app.post(
    '/api-keys',
    {
      onRequest: requireScope('tenant:admin'),
      config: { idempotencySecrets: ['key'], problems: [404] },
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
        () => ({ status: 201 }),
        (record) => createApiKeyService(request).create(request.body, tenantScope(request), record),
      ),
  );
  app.get(
    '/api-keys',
    {
      onRequest: requireScope('tenant:admin'),
      schema: {
        ...operation('listApiKeys', 'List API keys, newest first'),
        querystring: ListApiKeys,
        response: { 200: pageOf(ApiKey) },
      },
    },
    (request) => createApiKeyService(request).list(request.query, tenantScope(request)),
  );
  app.delete(
    '/api-keys/:id',
    {
      onRequest: requireScope('tenant:admin'),
      schema: {
        ...operation('revokeApiKey', 'Revoke an API key'),
        params: ApiKeyParams,
        response: { 204: Type.Null({ description: 'The key is revoked and cannot be used any more.' }) },
      },
    },
    async (request, reply) => {
      await createApiKeyService(request).revoke(request.params.id, tenantScope(request));
      return reply.code(204).send(null);
    },
  );
};
export default apiKeyRoutes;
