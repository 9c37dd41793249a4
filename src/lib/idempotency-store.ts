import { Prisma, type Database } from './database.ts';

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

/** A claim that was not renewed for this time belongs to a process that died. */
const CLAIM_MS = 60_000;
const KEEP_MS = 24 * 3_600_000;

/** Stands for the hash of a body that has not been read to its end. */
const UNKNOWN = '';

export type IdempotencyStore = ReturnType<typeof createIdempotencyStore>;

/** Queries on `idempotency_records`. While a request runs, `created_at` is the time its claim was last renewed. */
export function createIdempotencyStore(db: Database) {
  const at = (principal: string, key: string) => ({ principal_key: { principal, key } });

  /** Inserts the claim; false if the key is taken. */
  async function insert(principal: string, key: string, requestHash: string): Promise<boolean> {
    const { count } = await db.idempotencyRecord.createMany({
      data: [{ principal, key, requestHash }],
      skipDuplicates: true,
    });
    return count === 1;
  }

  /** Takes over the key from a claim that lapsed, or from an answer that is too old to be replayed. */
  async function takeOver(principal: string, key: string, requestHash: string): Promise<boolean> {
    const { count } = await db.idempotencyRecord.updateMany({
      where: {
        principal,
        key,
        OR: [
          { statusCode: null, createdAt: { lt: new Date(Date.now() - CLAIM_MS) } },
          { createdAt: { lt: new Date(Date.now() - KEEP_MS) } },
        ],
      },
      data: { requestHash, statusCode: null, response: Prisma.DbNull, createdAt: new Date() },
    });
    return count === 1;
  }

  return {
    async claim(principal: string, key: string, digest: string | null): Promise<'claimed' | FoundRecord> {
      const requestHash = digest ?? UNKNOWN;
      if (await insert(principal, key, requestHash)) return 'claimed';
      if (await takeOver(principal, key, requestHash)) return 'claimed';
      const row = await db.idempotencyRecord.findUnique({ where: at(principal, key) });
      // Set free between the two statements.
      if (row === null) return (await insert(principal, key, requestHash)) ? 'claimed' : { requestHash: null, answer: null };
      return {
        requestHash: row.requestHash === UNKNOWN ? null : row.requestHash,
        answer: row.statusCode === null ? null : (row.response as unknown as StoredAnswer),
      };
    },

    async renew(principal: string, key: string): Promise<void> {
      await db.idempotencyRecord.updateMany({
        where: { principal, key, statusCode: null },
        data: { createdAt: new Date() },
      });
    },

    async complete(principal: string, key: string, requestHash: string, answer: StoredAnswer): Promise<void> {
      await db.idempotencyRecord.updateMany({
        where: { principal, key },
        data: {
          requestHash,
          statusCode: answer.statusCode,
          response: answer as unknown as Prisma.InputJsonObject,
          createdAt: new Date(),
        },
      });
    },

    async release(principal: string, key: string): Promise<void> {
      await db.idempotencyRecord.deleteMany({ where: { principal, key, statusCode: null } });
    },

    async deleteExpired(): Promise<void> {
      await db.idempotencyRecord.deleteMany({ where: { createdAt: { lt: new Date(Date.now() - KEEP_MS) } } });
    },
  };
}
