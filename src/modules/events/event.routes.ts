import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { ModuleOptions } from '../../app-dependencies.ts';
import { requireScope, tenantScope } from '../../plugins/auth.ts';
import { operationsOf } from '../../plugins/openapi/operation.ts';
import { EventQuery, Events } from './event.schemas.ts';
import { createEventService } from './event.service.ts';

const operation = operationsOf('Events');

const eventRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app) => {
  app.get(
    '/events',
    {
      onRequest: requireScope('tenant:read'),
      config: { problems: [410] },
      schema: {
        ...operation('listEvents', 'List events, oldest first'),
        querystring: EventQuery,
        response: { 200: Events },
      },
    },
    (request) => createEventService(request).list(request.query, tenantScope(request)),
  );
};
export default eventRoutes;
