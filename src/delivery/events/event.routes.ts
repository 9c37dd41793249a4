import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { Id } from '../../platform/contract/schemas.ts';
import { requireScope, tenantScope } from '../../api/plugins/auth.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { EventPageQuery, EventQuery, Events } from './event.schemas.ts';
import { createEventService } from './event.service.ts';

const operation = operationsOf('Events');

/**
 * Writes answers as plain JSON, without a schema. The schema describes only this version's event types, and events that
 * other versions have recorded are sent unchanged.
 */
const serializerCompiler = () => (answer: unknown) => JSON.stringify(answer);

const common = { onRequest: requireScope('tenant:read'), config: { problems: [410] }, serializerCompiler };

const eventRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app) => {
  app.get(
    '/events',
    {
      ...common,
      schema: {
        ...operation('listEvents', 'List events, oldest first'),
        description:
          'Lists what has happened, in the order of commits. Go on with `next_after` as `after`; a list that ' +
          'is empty keeps the position.',
        querystring: EventQuery,
        response: { 200: Events },
      },
    },
    (request) => createEventService(request).list(request.query, tenantScope(request)),
  );
  app.get(
    '/jobs/:id/events',
    {
      ...common,
      schema: {
        ...operation('listJobEvents', 'List the events of a job, oldest first'),
        description: 'Lists the events of one job in the order of commits.',
        params: Type.Object({ id: Id('job') }),
        querystring: EventPageQuery,
        response: { 200: Events },
      },
    },
    (request) => {
      const { id: jobId } = request.params;
      return createEventService(request).listOf({ jobId }, request.query, tenantScope(request));
    },
  );
  app.get(
    '/rollouts/:id/events',
    {
      ...common,
      schema: {
        ...operation('listRolloutEvents', 'List the events of a rollout and its jobs, oldest first'),
        description: 'A tenant sees those of its own jobs and adapters.',
        params: Type.Object({ id: Id('rollout') }),
        querystring: EventPageQuery,
        response: { 200: Events },
      },
    },
    (request) => {
      const { id: rolloutId } = request.params;
      return createEventService(request).listOf({ rolloutId }, request.query, tenantScope(request));
    },
  );
};
export default eventRoutes;
