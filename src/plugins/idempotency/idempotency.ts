import { createHash, randomUUID, type Hash } from 'node:crypto';
import { Readable, Transform, type TransformCallback } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { Database, Prisma } from '../../lib/database.ts';
import { AppError } from '../../lib/errors.ts';
import {
  createIdempotencyStore,
  type Claim,
  type IdempotencyStore,
  type StoredAnswer,
} from './idempotency.repository.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Members of the answer that are not stored; a replay gives null for them. */
    idempotencySecrets?: readonly string[];
  }
  interface FastifyRequest {
    idempotency: IdempotentRequest | null;
  }
  interface FastifyInstance {
    idempotencyStore: IdempotencyStore;
  }
}

/** What the hooks know of a request with an `Idempotency-Key`. */
export interface IdempotentRequest extends Claim {
  /** Hash of method, URL and the body's bytes; complete when the body has been read. */
  hash: Hash;
  digest: string | null;
  claimed: boolean;
  /** The answer was stored in the transaction of the change. */
  recorded: boolean;
  heartbeat: NodeJS.Timeout | null;
}

const HEADER = 'idempotency-key';
const REPLAYED = 'idempotency-replayed';
const HEARTBEAT_MS = 20_000;
const SWEEP_MS = 3_600_000;
/** Headers that are part of the answer. */
const STORED_HEADERS = ['content-type', 'location', 'etag'] as const;

/**
 * `Idempotency-Key` on every POST. The key belongs to the principal. The first request claims it; its answer is
 * stored if it succeeded (2xx) and replayed for 24 hours to requests with the same method, URL and body, with
 * `Idempotency-Replayed: true`. Another body answers 422, a request while the first still runs 409. A request that
 * failed has changed nothing and sets its key free.
 *
 * What creates something stores its answer in the transaction that creates it, see answer-once.ts: if the process
 * dies, both are there or neither. Other requests (to cancel) change nothing when they are repeated. A claim whose
 * process died lapses after a minute.
 */
export default fp<{ db: Database }>(
  async (app, { db }) => {
    const store = createIdempotencyStore(db);
    app.decorate('idempotencyStore', store);
    app.decorateRequest('idempotency', null);
    app.addHook('preParsing', async (request, _reply, payload) => {
      request.idempotency = begin(request);
      return request.idempotency === null ? payload : tee(payload, request.idempotency);
    });
    app.addHook('preHandler', async (request, reply) => {
      if (request.idempotency !== null) return claim(store, request.idempotency, request, reply);
    });
    app.addHook('onSend', async (request, reply, payload) => {
      if (request.idempotency?.claimed === true)
        await finish(store, request.idempotency, answerOf(request, reply, payload));
      return payload;
    });
    const sweep = setInterval(() => {
      store
        .deleteExpired()
        .catch((error: unknown) => app.log.warn({ err: error }, 'could not delete idempotency keys'));
    }, SWEEP_MS).unref();
    app.addHook('onClose', async () => clearInterval(sweep));
  },
  { name: 'idempotency', dependencies: ['auth'] },
);

function begin(request: FastifyRequest): IdempotentRequest | null {
  const key = request.headers[HEADER];
  if (request.method !== 'POST' || key === undefined) return null;
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new AppError({
      code: 'invalid_idempotency_key',
      status: 400,
      message: 'Idempotency-Key must have 1 to 255 visible ASCII characters and no spaces',
    });
  }
  const { principal } = request;
  const hash = createHash('sha256').update(`${request.method} ${request.url}\n`);
  return {
    key,
    claimId: randomUUID(),
    principal: principal.kind === 'operator' ? 'operator' : principal.tenantId,
    hash,
    digest: null,
    claimed: false,
    recorded: false,
    heartbeat: null,
  };
}

/** Hashes the body as it passes. Fastify compares `receivedEncodedLength` with the content length. */
function tee(payload: Readable, state: IdempotentRequest): Readable {
  const through = new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      state.hash.update(chunk);
      (through as Transform & { receivedEncodedLength: number }).receivedEncodedLength += chunk.length;
      done(null, chunk);
    },
    flush(done) {
      state.digest = state.hash.digest('hex');
      done();
    },
  });
  Object.assign(through, { receivedEncodedLength: 0 });
  // Whoever reads the body is told of an error; before that, nobody may be listening.
  through.on('error', () => undefined);
  payload.on('error', (error) => through.destroy(error));
  payload.on('close', () => {
    if (!payload.readableEnded) through.destroy();
  });
  return payload.pipe(through);
}

async function claim(
  store: IdempotencyStore,
  state: IdempotentRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply | undefined> {
  if (!isStream(request.body) && state.digest === null) state.digest = state.hash.digest('hex');
  const found = await store.claim(claimOf(state), state.digest);
  if (found === 'claimed') {
    state.claimed = true;
    state.heartbeat = setInterval(() => {
      store.renew(claimOf(state)).catch((error: unknown) => request.log.warn({ err: error }, 'claim not renewed'));
    }, HEARTBEAT_MS).unref();
    return undefined;
  }
  const digest = state.digest ?? (await readToEnd(request.body as Readable, state));
  if (found.requestHash !== null && found.requestHash !== digest) throw keyReused(state.key);
  if (found.answer === null) throw stillRunning(state.key);
  return replay(reply, found.answer);
}

function isStream(body: unknown): body is Readable {
  return body instanceof Readable;
}

/** Reads an upload for its hash only. */
async function readToEnd(body: Readable, state: IdempotentRequest): Promise<string> {
  for await (const chunk of body) void chunk;
  return state.digest ?? '';
}

function keyReused(key: string): AppError {
  return new AppError({
    code: 'idempotency_key_reused',
    status: 422,
    message: `Idempotency-Key ${key} was used for another request`,
  });
}

export function stillRunning(key: string): AppError {
  return new AppError({
    code: 'idempotency_in_progress',
    status: 409,
    message: `the first request with Idempotency-Key ${key} is still running`,
    details: { retry_after_ms: 1000 },
  });
}

function replay(reply: FastifyReply, answer: StoredAnswer): FastifyReply {
  for (const [name, value] of Object.entries(answer.headers)) reply.header(name, value);
  return reply
    .code(answer.statusCode)
    .header(REPLAYED, 'true')
    .serializer((payload: unknown) => payload as string)
    .send(answer.payload);
}

/** The answer to be stored; null if it was no success. */
function answerOf(request: FastifyRequest, reply: FastifyReply, payload: unknown): StoredAnswer | null {
  const { statusCode } = reply;
  if (statusCode < 200 || statusCode >= 300 || (typeof payload !== 'string' && payload !== null)) return null;
  return { statusCode, headers: storedHeaders(reply), payload: withoutSecrets(payload, secretsOf(request)) };
}

export function secretsOf(request: FastifyRequest): readonly string[] {
  return request.routeOptions.config.idempotencySecrets ?? [];
}

async function finish(store: IdempotencyStore, state: IdempotentRequest, answer: StoredAnswer | null): Promise<void> {
  state.claimed = false;
  if (state.heartbeat !== null) clearInterval(state.heartbeat);
  if (answer === null || state.digest === null) await store.release(claimOf(state));
  else if (!state.recorded) await store.complete(claimOf(state), state.digest, answer);
}

export function claimOf({ principal, key, claimId }: IdempotentRequest): Claim {
  return { principal, key, claimId };
}

function storedHeaders(reply: FastifyReply): Record<string, string> {
  const entries = STORED_HEADERS.map((name) => [name, reply.getHeader(name)] as const);
  return Object.fromEntries(
    entries.filter((entry): entry is [(typeof STORED_HEADERS)[number], string] => typeof entry[1] === 'string'),
  );
}

export function withoutSecrets(payload: string | null, secrets: readonly string[]): string {
  if (payload === null || secrets.length === 0) return payload ?? '';
  const value = JSON.parse(payload) as Record<string, Prisma.InputJsonValue | null>;
  for (const name of secrets) if (name in value) value[name] = null;
  return JSON.stringify(value);
}
