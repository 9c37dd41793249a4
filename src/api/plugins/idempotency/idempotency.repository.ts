import { Prisma, type Database, type Queryable } from '../../../platform/database/database.ts';

/** Answer to a request as it was sent. */
export interface StoredAnswer {
  statusCode: number;
  headers: Record<string, string>;
  payload: string;
}

/** Identity of a request: hash of method, URL and body, and the size of the body. */
export interface RequestDigest {
  hash: string;
  bytes: number;
}

export interface FoundRecord {
  /** Null while the body of the first request is still being read. */
  requestHash: string | null;
  /**
   * Size of the first request's body, in bytes; null while that request is running, and in records of versions that did
   * not store it.
   */
  bodyBytes: number | null;
  /** Null while the first request is running. */
  answer: StoredAnswer | null;
}

/** Claim of a request on an idempotency key. */
export interface Claim {
  principal: string;
  key: string;
  /** Identifier of the claim. A request whose claim has lapsed no longer holds the key. */
  claimId: string;
}

/** Lifetime of a claim without renewal, in milliseconds. Its process then counts as dead. */
const CLAIM_MS = 60_000;
const KEEP_MS = 24 * 3_600_000;

/** Placeholder for the hash of a body that is still being read. */
const UNKNOWN = '';
const RUNNING: FoundRecord = { requestHash: null, bodyBytes: null, answer: null };

/** Queries on `idempotency_records`. While a request is running, `created_at` is when its claim was last renewed. */
export interface IdempotencyRepository {
  /**
   * Claims a key for a request, or returns the record of the request that has it.
   * @param digest null while the body of the request is still being read
   */
  claim(claim: Claim, digest: RequestDigest | null): Promise<'claimed' | FoundRecord>;
  renew(claim: Claim): Promise<void>;
  /** Stores the answer. False if the claim has lapsed and another request has the key. */
  complete(claim: Claim, digest: RequestDigest, answer: StoredAnswer, tx?: Queryable): Promise<boolean>;
  /** Releases the key, unless an answer is stored. */
  release(claim: Claim): Promise<void>;
  deleteExpired(): Promise<void>;
}

export function createIdempotencyRepository(db: Database): IdempotencyRepository {
  /** Inserts the claim. False if the key is taken. */
  async function insert(claim: Claim, requestHash: string): Promise<boolean> {
    const { count } = await db.idempotencyRecord.createMany({
      data: [{ ...claim, requestHash }],
      skipDuplicates: true,
    });
    return count === 1;
  }

  /**
   * Takes the key over if its claim has lapsed or its answer is too old to be replayed.
   * @returns false otherwise
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

/** Condition that the claim still holds the key and no answer is stored. */
function held({ principal, key, claimId }: Claim) {
  return { principal, key, claimId, statusCode: null };
}
