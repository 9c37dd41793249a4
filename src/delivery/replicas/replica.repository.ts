import type { Database, Prisma, Queryable, Transaction } from '../../platform/database/database.ts';
import { pageArguments, type PageQuery } from '../../platform/contract/pagination.ts';
import type { ListReplicaAdapters } from './replica.schemas.ts';

export type ReplicaRow = Prisma.ReplicaGetPayload<object>;
export type ReplicaAdapterRow = Prisma.ReplicaAdapterGetPayload<object>;

/**
 * Values that make a replica due at once, and make its next turn read again which adapters the replica should serve.
 */
const ANEW = { leaseOwner: null, leaseExpiresAt: null, failures: 0, listingDigest: null, resyncAt: new Date(0) };

export const replicaRepository = {
  create: (tx: Transaction, data: Prisma.ReplicaUncheckedCreateInput) => tx.replica.create({ data }),
  page(db: Database, query: PageQuery): Promise<ReplicaRow[]> {
    return db.replica.findMany(pageArguments(query));
  },
  find: (db: Queryable, id: string) => db.replica.findUnique({ where: { id } }),
  async lock(tx: Transaction, id: string): Promise<ReplicaRow | null> {
    await tx.$queryRaw`SELECT id FROM replicas WHERE id = ${id} FOR NO KEY UPDATE`;
    return replicaRepository.find(tx, id);
  },
  update: (tx: Transaction, id: string, data: Prisma.ReplicaUncheckedUpdateInput) =>
    tx.replica.update({ where: { id }, data: { ...data, ...ANEW, nextTurnAt: new Date(0) } }),
  delete: (tx: Transaction, id: string) => tx.replica.delete({ where: { id } }),

  hasBaseModelVersion: async (tx: Transaction, id: string): Promise<boolean> =>
    (await tx.baseModelVersion.count({ where: { id } })) > 0,
  /**
   * Finds the first of the given tenant identifiers that belongs to no tenant or to a deleted tenant; undefined if
   * there is none.
   */
  async missingTenant(tx: Transaction, ids: readonly string[]): Promise<string | undefined> {
    const found = await tx.tenant.findMany({ where: { id: { in: [...ids] }, deletedAt: null }, select: { id: true } });
    const known = new Set(found.map(({ id }) => id));
    return ids.find((id) => !known.has(id));
  },

  adapters(db: Database, replicaId: string, query: ListReplicaAdapters): Promise<ReplicaAdapterRow[]> {
    const { where, ...rest } = pageArguments(query, 'asc');
    return db.replicaAdapter.findMany({ ...rest, where: { ...where, replicaId, state: query.state } });
  },
};
