import { Prisma, type Database, type Queryable } from '../../../platform/database/database.ts';

/** Answer to a request, stored to be sent again if the request is repeated. */
export interface StoredAnswer {
  statusCode: number;
  headers: Record<string, string>;
  payload: string;
}

/**
 * Digest by which a repeated request is recognized: the hash of method, URL and body, with the body's size in bytes.
 */
export interface RequestDigest {
  hash: string;
  bytes: number;
}

export interface FoundRecord {
  /** Hash of the first request's method, URL and body; null while its body is still being read. */
  requestHash: string | null;
  /**
   * Size of the first request's body, in bytes; null while that request is running, and in records of versions that did
   * not store it.
   */
  bodyBytes: number | null;
  /** Answer to the first request; null while that request is running. */
  answer: StoredAnswer | null;
}

/** Claim by which one running request holds an idempotency key. */
export interface Claim {
  principal: string;
  key: string;
  /**
   * Identifier of the claim. It distinguishes a request whose claim has lapsed from the request that has taken the key
   * over.
   */
  claimId: string;
}

/**
 * Time after which a claim lapses if it is not renewed, in milliseconds. The process that made the claim then counts as
 * dead.
 */
const CLAIM_MS = 60_000;
const KEEP_MS = 24 * 3_600_000;

/** Placeholder that is stored in place of the hash of a request while its body is still being read. */
const UNKNOWN = '';
const RUNNING: FoundRecord = { requestHash: null, bodyBytes: null, answer: null };

/**
 * Queries on stored idempotency keys, in the table `idempotency_records`. While a request is running, `created_at` is
 * the time at which its claim was last renewed.
 */
export interface IdempotencyRepository {
  /**
   * Claims an idempotency key for a request, or returns the record of the request that holds the key.
   * @param digest the request's digest; null while its body is still being read
   */
  claim(claim: Claim, digest: RequestDigest | null): Promise<'claimed' | FoundRecord>;
  renew(claim: Claim): Promise<void>;
  /**
   * Stores the answer of the request that holds the claim.
   * @returns false if nothing was stored, because this claim has lapsed and no longer holds the key
   */
  complete(claim: Claim, digest: RequestDigest, answer: StoredAnswer, tx?: Queryable): Promise<boolean>;
  /** Releases the idempotency key, so that any request may claim it, unless an answer is stored under the key. */
  release(claim: Claim): Promise<void>;
  deleteExpired(): Promise<void>;
}

export function createIdempotencyRepository(db: Database): IdempotencyRepository {
  /**
   * Stores a claim on an idempotency key.
   * @returns false if the key has a record already
   */
  async function insert(claim: Claim, requestHash: string): Promise<boolean> {
    const { count } = await db.idempotencyRecord.createMany({
      data: [{ ...claim, requestHash }],
      skipDuplicates: true,
    });
    return count === 1;
  }

  /**
   * Takes an idempotency key over from an earlier request whose claim has lapsed, or whose answer is too old to be sent
   * again.
   * @returns false if neither is the case; the key then stays as it was
   */
  async function takeOver({ principal, key, claimId }: Claim, requestHash: string): Promise<boolean> {
    const { count } = await db.idempotencyRecord.updateMany({
      where: {
        principal,
        key,
        OR: [
          { statusCode: null, createdAt: { lt: new Date(Date.now() - CLAIM_MS) } },
          { createdAt: { lt: new Date(Date.now() - KEEP_MS) } },
        ],
      },
      data: {
        requestHash,
        claimId,
        bodyBytes: null,
        statusCode: null,
        response: Prisma.DbNull,
        createdAt: new Date(),
      },
    });
    return count === 1;
  }

  return {
    async claim(claim, digest) {
      const { principal, key } = claim;
      const requestHash = digest?.hash ?? UNKNOWN;
      if (await insert(claim, requestHash)) return 'claimed';
      if (await takeOver(claim, requestHash)) return 'claimed';
      const row = await db.idempotencyRecord.findUnique({ where: { principal_key: { principal, key } } });
      // The key was released between the two statements.
      if (row === null) return (await insert(claim, requestHash)) ? 'claimed' : RUNNING;
      return {
        requestHash: row.requestHash === UNKNOWN ? null : row.requestHash,
        bodyBytes: row.bodyBytes === null ? null : Number(row.bodyBytes),
        answer: row.statusCode === null ? null : (row.response as unknown as StoredAnswer),
      };
    },

    async renew(claim) {
      await db.idempotencyRecord.updateMany({ where: held(claim), data: { createdAt: new Date() } });
    },

    async complete(claim, digest, answer, tx = db) {
      const { count } = await tx.idempotencyRecord.updateMany({
        where: held(claim),
        data: {
          requestHash: digest.hash,
          bodyBytes: digest.bytes,
          statusCode: answer.statusCode,
          response: answer as unknown as Prisma.InputJsonObject,
          createdAt: new Date(),
        },
      });
      return count === 1;
    },

    async release(claim) {
      await db.idempotencyRecord.deleteMany({ where: held(claim) });
    },

    async deleteExpired() {
      await db.idempotencyRecord.deleteMany({ where: { createdAt: { lt: new Date(Date.now() - KEEP_MS) } } });
    },
  };
}

/** Makes the condition for the record of an idempotency key that this claim still holds, and that has no answer yet. */
function held({ principal, key, claimId }: Claim) {
  return { principal, key, claimId, statusCode: null };
}
