import { Prisma, type Database, type Queryable } from '../../lib/database.ts';

/** The answer of a request as it went over the wire. */
export interface StoredAnswer {
  statusCode: number;
  headers: Record<string, string>;
  payload: string;
}

export interface FoundRecord {
  /** null while the body of the first request is still being read. */
  requestHash: string | null;
  /** null while the first request runs. */
  answer: StoredAnswer | null;
}

/** A request's hold on a key. */
export interface Claim {
  principal: string;
  key: string;
  /** Differs between requests: who was taken for dead and lives on holds the key no more. */
  claimId: string;
}

/** A claim that was not renewed for this time belongs to a process that died. */
const CLAIM_MS = 60_000;
const KEEP_MS = 24 * 3_600_000;

/** Stands for the hash of a body that has not been read to its end. */
const UNKNOWN = '';

export type IdempotencyStore = ReturnType<typeof createIdempotencyStore>;

/** Queries on `idempotency_records`. While a request runs, `created_at` is the time its claim was last renewed. */
export function createIdempotencyStore(db: Database) {
  /** Inserts the claim; false if the key is taken. */
  async function insert(claim: Claim, requestHash: string): Promise<boolean> {
    const { count } = await db.idempotencyRecord.createMany({
      data: [{ ...claim, requestHash }],
      skipDuplicates: true,
    });
    return count === 1;
  }

  /** Takes over the key from a claim that lapsed, or from an answer that is too old to be replayed. */
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
      data: { requestHash, claimId, statusCode: null, response: Prisma.DbNull, createdAt: new Date() },
    });
    return count === 1;
  }

  return {
    async claim(claim: Claim, digest: string | null): Promise<'claimed' | FoundRecord> {
      const { principal, key } = claim;
      const requestHash = digest ?? UNKNOWN;
      if (await insert(claim, requestHash)) return 'claimed';
      if (await takeOver(claim, requestHash)) return 'claimed';
      const row = await db.idempotencyRecord.findUnique({ where: { principal_key: { principal, key } } });
      // Set free between the two statements.
      if (row === null) return (await insert(claim, requestHash)) ? 'claimed' : { requestHash: null, answer: null };
      return {
        requestHash: row.requestHash === UNKNOWN ? null : row.requestHash,
        answer: row.statusCode === null ? null : (row.response as unknown as StoredAnswer),
      };
    },

    async renew(claim: Claim): Promise<void> {
      await db.idempotencyRecord.updateMany({ where: held(claim), data: { createdAt: new Date() } });
    },

    /** Stores the answer; false if the claim lapsed and another request has the key. */
    async complete(claim: Claim, requestHash: string, answer: StoredAnswer, tx: Queryable = db): Promise<boolean> {
      const { count } = await tx.idempotencyRecord.updateMany({
        where: held(claim),
        data: {
          requestHash,
          statusCode: answer.statusCode,
          response: answer as unknown as Prisma.InputJsonObject,
          createdAt: new Date(),
        },
      });
      return count === 1;
    },

    /** Sets the key free, unless an answer is stored. */
    async release(claim: Claim): Promise<void> {
      await db.idempotencyRecord.deleteMany({ where: held(claim) });
    },

    async deleteExpired(): Promise<void> {
      await db.idempotencyRecord.deleteMany({ where: { createdAt: { lt: new Date(Date.now() - KEEP_MS) } } });
    },
  };
}

/** The record while the claim holds and has no answer. */
function held({ principal, key, claimId }: Claim) {
  return { principal, key, claimId, statusCode: null };
}
