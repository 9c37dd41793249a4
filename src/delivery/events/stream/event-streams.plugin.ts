import { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { Config } from '../../../platform/config/config.ts';
import type { Database } from '../../../platform/database/database.ts';
import { createEventStreams, type EventStreams, type StreamedEvents, type StreamReader } from '../index.ts';
import { tenantScope } from '../../../api/plugins/auth.ts';
import { EVENT_STREAM_TYPE } from '../../../platform/contract/schemas.ts';

declare module 'fastify' {
  interface FastifyInstance {
    eventStreams: EventStreams;
  }
}

/** Interval of heartbeats, in milliseconds. Proxies close connections that are idle for 30 to 60 seconds. */
const HEARTBEAT_MS = 15_000;

interface EventStreamsPluginOptions {
  db: Database;
  config: Pick<Config, 'eventStreams' | 'tenantEventStreams' | 'idleTimeoutMs'>;
}

/** Manages the event streams of this process, and ends them when it stops. */
export default fp<EventStreamsPluginOptions>(
  async (app, { db, config }) => {
    const limits = { perOwner: config.tenantEventStreams, all: config.eventStreams };
    // The server closes idle connections, so waiting streams need heartbeats well within that time.
    const heartbeatMs = Math.min(HEARTBEAT_MS, Math.ceil(config.idleTimeoutMs / 3));
    const streams = createEventStreams({ db, limits, heartbeatMs, logger: app.log });
    app.decorate('eventStreams', streams);
    app.addHook('preClose', async () => streams.close());
  },
  { name: 'event-streams', dependencies: ['auth'] },
);

/**
 * Answers with a stream of events. The stream ends when the connection closes, the API key becomes invalid, or the
 * service stops.
 */
export async function streamEvents(
  request: FastifyRequest,
  reply: FastifyReply,
  streamed: StreamedEvents,
): Promise<FastifyReply> {
  const frames = await request.server.eventStreams.open(readerOf(request, reply), streamed);
  // Without these headers, proxies buffer the stream.
  reply.header('cache-control', 'no-cache').header('x-accel-buffering', 'no');
  return reply.type(EVENT_STREAM_TYPE).send(Readable.from(frames));
}

function readerOf(request: FastifyRequest, reply: FastifyReply): StreamReader {
  const { db, principal } = request;
  const closed = new AbortController();
  reply.raw.once('close', () => closed.abort());
  // The client may have disconnected before its request was handled.
  if (reply.raw.destroyed) closed.abort();
  return {
    db,
    scope: tenantScope(request),
    owner: principal.kind === 'tenant' ? principal.tenantId : principal.keyId,
    signal: closed.signal,
    isAdmitted: () => request.hasUsableKey(),
    cut: () => void reply.raw.destroy(),
  };
}
