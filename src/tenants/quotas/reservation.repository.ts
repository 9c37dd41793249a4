import type { Database, Queryable, Transaction } from '../../platform/database/database.ts';
import { newId } from '../../platform/contract/ids.ts';

/**
 * Time after which a reservation of bytes lapses if it is not renewed, in seconds. The process that runs the upload
 * then counts as dead.
 */
const RESERVATION_S = 60;

/** Creates the queries on the bytes of tenants' quotas that running uploads have reserved. */
export function createReservationRepository(db: Database) {
  return {
    async insert(tenantId: string, tx: Transaction): Promise<string> {
      const id = newId('reservation');
      await tx.$executeRaw`DELETE FROM upload_reservations WHERE tenant_id = ${tenantId}
        AND expires_at <= clock_timestamp()`;
      await tx.$executeRaw`
        INSERT INTO upload_reservations (id, tenant_id, bytes, expires_at)
        VALUES (${id}, ${tenantId}, 0, clock_timestamp() + make_interval(secs => ${RESERVATION_S}::float8))`;
      return id;
    },
    bytesOf: async (id: string, tx: Queryable = db): Promise<number> =>
      Number((await tx.uploadReservation.findUnique({ where: { id } }))?.bytes ?? 0n),
    resize: (id: string, bytes: number, tx: Queryable = db) =>
      tx.uploadReservation.updateMany({ where: { id }, data: { bytes } }),
    renew: (id: string, tx: Queryable = db) =>
      tx.$executeRaw`
        UPDATE upload_reservations SET expires_at = clock_timestamp() + make_interval(secs => ${RESERVATION_S}::float8)
        WHERE id = ${id}`,
    remove: (id: string, tx: Queryable = db) => tx.uploadReservation.deleteMany({ where: { id } }),
  };
}
