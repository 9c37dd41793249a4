import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { ModuleOptions } from '../../api/plugins/module-options.ts';
import { Id } from '../../platform/contract/schemas.ts';
import { requireScope } from '../../api/plugins/auth.ts';
import { streamEvents } from './stream/event-streams.plugin.ts';
import { operationsOf } from '../../api/plugins/openapi/operation.ts';
import { EventStream, EventStreamHeaders, EventStreamQuery } from './event.schemas.ts';
import type { EventSource } from './event.service.ts';

const operation = operationsOf('Events');

const common = {
  onRequest: requireScope('tenant:read'),
  config: { problems: [410] },
  // Fastify would make the answer to HEAD from the whole stream, which has no end.
  exposeHeadRoute: false,
};
const requested = { headers: EventStreamHeaders, querystring: EventStreamQuery, response: { 200: EventStream } };

interface StreamRequest extends FastifyRequest {
  headers: FastifyRequest['headers'] & { 'last-event-id'?: string };
}

function answer(request: FastifyRequest, reply: FastifyReply, source: EventSource): Promise<FastifyReply> {
  const { headers, query } = request as StreamRequest & { query: EventStreamQuery };
  // A client that reconnects repeats its first query, so `Last-Event-ID` takes precedence.
  return streamEvents(request, reply, { source, after: headers['last-event-id'] || (query.after ?? null) });
}

const eventStreamRoutes: FastifyPluginAsyncTypebox<ModuleOptions> = async (app) => {
  app.get(
    '/events/stream',
    {
      ...common,
      schema: {
        ...operation('streamEvents', 'Follow events as they happen'),
        description:
          'Sends events as they are committed, as server-sent events. A client that connects again with the ' +
          '`Last-Event-ID` misses nothing.',
        ...requested,
      },
    },
    (request, reply) => answer(request, reply, 'all'),
  );
  app.get(
    '/jobs/:id/events/stream',
    {
      ...common,
      schema: {
        ...operation('streamJobEvents', 'Follow the events of a job'),
        description: 'Sends the events of one job as they are committed, as server-sent events.',
        params: Type.Object({ id: Id('job') }),
        ...requested,
      },
    },
    (request, reply) => answer(request, reply, { jobId: request.params.id }),
  );
  app.get(
    '/rollouts/:id/events/stream',
    {
      ...common,
      schema: {
        ...operation('streamRolloutEvents', 'Follow the events of a rollout and its jobs'),
        description: 'A tenant sees those of its own jobs and adapters.',
        params: Type.Object({ id: Id('rollout') }),
        ...requested,
      },
    },
    (request, reply) => answer(request, reply, { rolloutId: request.params.id }),
  );
};
export default eventStreamRoutes;
