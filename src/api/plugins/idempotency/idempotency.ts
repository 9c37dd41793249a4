import { createHash, randomUUID, type Hash } from 'node:crypto';
import { Readable, Transform, type TransformCallback } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { Database, Prisma } from '../../../platform/database/database.ts';
import { AppError } from '../../../platform/contract/errors.ts';
import {
  createIdempotencyRepository,
  type Claim,
  type IdempotencyRepository,
  type RequestDigest,
  type StoredAnswer,
} from './idempotency.repository.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * Names of the members of a route's answer that are secret and not stored. They are null when the answer is sent
     * again.
     */
    idempotencySecrets?: readonly string[];
  }
  interface FastifyRequest {
    idempotency: IdempotentRequest | null;
  }
  interface FastifyInstance {
    idempotencyRepository: IdempotencyRepository;
  }
}

/** State of a request with an `Idempotency-Key`, from its first to its last hook. */
export interface IdempotentRequest extends Claim {
  /** Hash of the method, the URL and the body's bytes; complete once the body has been read. */
  hash: Hash;
  /** Number of bytes of the body that have been read so far. */
  bytes: number;
  /** Digest of the whole request; null until its body has been read. */
  digest: RequestDigest | null;
  claimed: boolean;
  /** Whether the answer has been stored in the same transaction as the change that the request made. */
  recorded: boolean;
  heartbeat: NodeJS.Timeout | null;
}

const HEADER = 'idempotency-key';
const REPLAYED = 'idempotency-replayed';
const HEARTBEAT_MS = 20_000;
const SWEEP_MS = 3_600_000;
/** Headers of an answer that are stored with it. */
const STORED_HEADERS = ['content-type', 'location', 'etag'] as const;

interface IdempotencyOptions {
  db: Database;
  /** Largest number of bytes that are read of a repeated upload if the size of the first upload is unknown. */
  maxUploadBytes: number;
}

/**
 * Supports `Idempotency-Key` on every POST. A key belongs to a tenant, or to the operator, and the first request with
 * it claims it. If that request succeeds (2xx), its answer is stored for 24 hours. Requests with the same key, method,
 * URL and body then get that answer, with `Idempotency-Replayed: true`. A request with another body is answered with
 * 422, and a request that comes while the first one is still running with 409. A repeated upload is read to compare it
 * with the first one, but only as many bytes as the first one had. A request that fails has changed nothing and
 * releases its key.
 *
 * A request that creates something stores its answer in the transaction that creates it (see answer-once.ts), so that
 * both or neither exist if the process dies. Other requests, such as a cancellation, change nothing when they are
 * repeated. The claim of a dead process lapses after a minute.
 */
export default fp<IdempotencyOptions>(
  async (app, { db, maxUploadBytes }) => {
    const store = createIdempotencyRepository(db);
    app.decorate('idempotencyRepository', store);
    app.decorateRequest('idempotency', null);
    app.addHook('preParsing', async (request, _reply, payload) => {
      request.idempotency = begin(request);
      return request.idempotency === null ? payload : tee(payload, request.idempotency);
    });
    app.addHook('preHandler', async (request, reply) => {
      if (request.idempotency !== null) return claim({ store, maxUploadBytes }, request.idempotency, request, reply);
    });
    app.addHook('onSend', async (request, reply, payload) => {
      if (request.idempotency?.claimed === true)
        await finish(store, request.idempotency, answerOf(request, reply, payload));
      return payload;
    });
    const sweep = setInterval(() => {
      store
        .deleteExpired()
        .catch((error: unknown) => app.log.warn({ err: error }, 'expired idempotency keys could not be deleted'));
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
      message: 'Idempotency-Key is not usable, expected 1 to 255 visible ASCII characters without spaces',
    });
  }
  const { principal } = request;
  const hash = createHash('sha256').update(`${request.method} ${request.url}\n`);
  return {
    key,
    claimId: randomUUID(),
    principal: principal.kind === 'operator' ? 'operator' : principal.tenantId,
    hash,
    bytes: 0,
    digest: null,
    claimed: false,
    recorded: false,
    heartbeat: null,
  };
}

/**
 * Passes the body on to Fastify's parser and hashes it on the way. Fastify compares `receivedEncodedLength` with the
 * content length, so the stream returned here has to count its bytes in that property.
 */
function tee(payload: Readable, state: IdempotentRequest): Readable {
  const through = new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      state.hash.update(chunk);
      state.bytes += chunk.length;
      (through as Transform & { receivedEncodedLength: number }).receivedEncodedLength += chunk.length;
      done(null, chunk);
    },
    flush(done) {
      state.digest = digestOf(state);
      done();
    },
  });
  Object.assign(through, { receivedEncodedLength: 0 });
  // The reader of the body gets the error too, but may not be listening yet.
  through.on('error', () => undefined);
  payload.on('error', (error) => through.destroy(error));
  payload.on('close', () => {
    if (!payload.readableEnded) through.destroy();
  });
  return payload.pipe(through);
}

async function claim(
  { store, maxUploadBytes }: { store: IdempotencyRepository; maxUploadBytes: number },
  state: IdempotentRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply | undefined> {
  if (!isStream(request.body)) state.digest ??= digestOf(state);
  const found = await store.claim(claimOf(state), state.digest);
  if (found === 'claimed') {
    state.claimed = true;
    state.heartbeat = setInterval(() => {
      store
        .renew(claimOf(state))
        .catch((error: unknown) =>
          request.log.warn({ err: error }, 'the claim of an idempotency key could not be renewed'),
        );
    }, HEARTBEAT_MS).unref();
    return undefined;
  }
  if (found.answer === null && isStream(request.body)) throw stillRunning(state.key);
  const digest = state.digest ?? (await readAgain(request, state, found.bodyBytes ?? maxUploadBytes));
  if (found.requestHash !== null && found.requestHash !== digest.hash) throw keyReused(state.key);
  if (found.answer === null) throw stillRunning(state.key);
  return replay(reply, found.answer);
}

function isStream(body: unknown): body is Readable {
  return body instanceof Readable;
}

function digestOf({ hash, bytes }: IdempotentRequest): RequestDigest {
  return { hash: hash.digest('hex'), bytes };
}

/**
 * Reads a repeated upload to compare it with the first one, and stops beyond the first one's size.
 * @throws AppError 422 `idempotency_key_reused` if the upload is longer
 */
async function readAgain(request: FastifyRequest, state: IdempotentRequest, maxBytes: number): Promise<RequestDigest> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw keyReused(state.key);
  // The connection is still needed for the answer.
  for await (const chunk of (request.body as Readable).iterator({ destroyOnReturn: false })) {
    void chunk;
    if (state.bytes > maxBytes) throw keyReused(state.key);
  }
  return state.digest ?? digestOf(state);
}

function keyReused(key: string): AppError {
  return new AppError({
    code: 'idempotency_key_reused',
    status: 422,
    message: `Idempotency-Key ${key} was used for a different request`,
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

/**
 * Makes the answer to store under the idempotency key; null if the request has failed, because failures are not stored.
 */
function answerOf(request: FastifyRequest, reply: FastifyReply, payload: unknown): StoredAnswer | null {
  const { statusCode } = reply;
  if (statusCode < 200 || statusCode >= 300 || (typeof payload !== 'string' && payload !== null)) return null;
  return { statusCode, headers: storedHeaders(reply), payload: withoutSecrets(payload, secretsOf(request)) };
}

export function secretsOf(request: FastifyRequest): readonly string[] {
  return request.routeOptions.config.idempotencySecrets ?? [];
}

async function finish(
  store: IdempotencyRepository,
  state: IdempotentRequest,
  answer: StoredAnswer | null,
): Promise<void> {
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
