import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { requireScope } from '../../api/plugins/auth.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { createApiKeyService } from './api-key.service.ts';
import { Caller } from './api-key.schemas.ts';

const operation = operationsOf('API keys');

const callerRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app, { config }) => {
  app.get(
    '/whoami',
    {
      // Every tenant scope includes `serving:read`, so any key may call this route.
      onRequest: requireScope('serving:read'),
      schema: {
        ...operation('whoami', 'Say whose key this is, and what it may do'),
        description: 'For signing in: it needs a key that works, and no more than that.',
        response: { 200: Caller },
      },
    },
    ({ db, principal }) => createApiKeyService({ db, quotas: config.quotas }).caller(principal),
  );
};
export default callerRoutes;
