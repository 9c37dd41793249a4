import type { QuotaLimits } from '../../platform/config/quotas.ts';
import { withTransaction, type Database, type Transaction } from '../../platform/database/database.ts';
import type { Logger } from '../../lib/logger.ts';
import { createKeyedMutex } from '../../lib/keyed-mutex.ts';
import { createQuotaCheck, type Added, type QuotaCheck } from './quota-check.ts';
import { quotaExceeded } from './quota-exceeded.ts';
import { createQuotaRepository } from './quota.repository.ts';
import { createReservationRepository } from './reservation.repository.ts';

/**
 * Number of bytes of the quota that are reserved beyond the bytes that have arrived, if the length of an upload is
 * unknown.
 */
const STEP_BYTES = 64 * 2 ** 20;
const RENEW_MS = 20_000;

/**
 * Mutex by which this process runs the transactions on the usage of one tenant one after the other. The database would
 * make them wait as well, but each transaction would occupy a connection while it waits.
 */
const forTenant = createKeyedMutex();

export interface UploadRoomDependencies {
  readonly db: Database;
  readonly logger: Pick<Logger, 'warn'>;
  readonly quotas: QuotaLimits;
}

/** Bytes of a tenant's quota that are reserved for one running upload. */
export interface UploadRoom {
  /**
   * Passes on the bytes of the upload, and reserves more bytes of the quota when the upload exceeds the reserved ones.
   */
  measured(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  /**
   * Ends the reservation in the transaction that stores the upload, where the inserted rows count as used instead.
   * @throws AppError 403 `quota_exceeded`, which rolls the inserts back
   */
  settle(tx: Transaction, added: Added): Promise<void>;
}

/**
 * Functions that reserve bytes of a tenant's quota while its uploads run, so that concurrent uploads cannot exceed the
 * quota together. A reservation ends with its upload, or a minute after its process has died.
 */
export interface UploadRooms extends QuotaCheck {
  /**
   * Runs `work` with reserved room for an upload.
   * @param declaredBytes size of the upload; null if it is not known ahead
   * @throws AppError 403 `quota_exceeded` if there is no room, and any error of `work`
   */
  during<T>(tenantId: string, declaredBytes: number | null, work: (room: UploadRoom) => Promise<T>): Promise<T>;
}

export function createUploadRooms({ db, logger, quotas: defaults }: UploadRoomDependencies): UploadRooms {
  const reservations = createReservationRepository(db);
  const quotas = createQuotaRepository(db);
  const check = createQuotaCheck({ db, defaults });

  /**
   * Changes a reservation to `wish` bytes or, if the quota has less room, to as many bytes as it has room for.
   * @throws AppError 403 if the quota has room for less than `least` bytes
   */
  async function resize(
    tx: Transaction,
    { id, tenantId }: { id: string; tenantId: string },
    { least, wish }: { least: number; wish: number },
  ): Promise<number> {
    const { limits, isOwn } = await check.limitsOf(tenantId, tx);
    const limit = limits.stored_bytes;
    const usage = await quotas.storedUsage(tenantId, tx);
    const used = usage.stored_bytes + usage.reserved_bytes - (await reservations.bytesOf(id, tx));
    const room = limit === null ? wish : Math.min(wish, limit - used);
    if (limit !== null && room < least) {
      throw quotaExceeded({ name: 'stored_bytes', limit, used, wanted: least, isOwn: isOwn('stored_bytes') });
    }
    await reservations.resize(id, room, tx);
    return room;
  }

  /** Runs `work` in a transaction that holds the lock on the tenant's usage counters. */
  const withUsage = <T>(tenantId: string, work: (tx: Transaction) => Promise<T>): Promise<T> =>
    forTenant(tenantId, () =>
      withTransaction(db, async (tx) => {
        await quotas.lockUsage(tenantId, tx);
        return work(tx);
      }),
    );

  return {
    ...check,

    async during(tenantId, declaredBytes, work) {
      const { id, bytes } = await withUsage(tenantId, async (tx) => {
        const id = await reservations.insert(tenantId, tx);
        const size = { least: declaredBytes ?? 1, wish: declaredBytes ?? STEP_BYTES };
        return { id, bytes: await resize(tx, { id, tenantId }, size) };
      });
      let reserved = bytes;
      const grow = (total: number): Promise<number> =>
        withUsage(tenantId, (tx) => resize(tx, { id, tenantId }, { least: total, wish: total + STEP_BYTES }));
      const renewal = setInterval(() => {
        reservations
          .renew(id)
          .catch((error: unknown) => logger.warn({ err: error, tenantId }, 'a reservation could not be renewed'));
      }, RENEW_MS).unref();
      try {
        return await work({
          async *measured(chunks) {
            let total = 0;
            for await (const chunk of chunks) {
              total += chunk.length;
              if (total > reserved) reserved = await grow(total);
              yield chunk;
            }
          },
          async settle(tx, added) {
            await reservations.remove(id, tx);
            await check.requireWithin(tx, tenantId, added);
          },
        });
      } finally {
        clearInterval(renewal);
        // A reservation that cannot be removed now lapses by itself.
        await reservations.remove(id).catch(() => undefined);
      }
    },
  };
}
