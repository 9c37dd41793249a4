import { Prisma, type Database, type Queryable, type Transaction } from '../../platform/database/database.ts';
import { newId } from '../../platform/contract/ids.ts';
import type { Actor, NewAuditEntry } from '../../platform/contract/record-change.ts';
import { FIRST_RUNNING, type CommitPosition } from '../../delivery/events/index.ts';

/**
 * Writes an entry to the audit log, with the time of the database's clock. Call this in the transaction that makes the
 * change.
 */
export async function writeAuditEntry(tx: Transaction, entry: NewAuditEntry): Promise<void> {
  const { tenantId, actor, operation, subjectId, requestId } = entry;
  await tx.$executeRaw`
    INSERT INTO audit_entries (id, tenant_id, actor, key_id, operation, subject_id, before, after, request_id)
    VALUES (${newId('auditEntry')}, ${tenantId}, ${actor.kind}, ${actor.keyId}, ${operation}, ${subjectId},
      ${toJson(entry.before)}::jsonb, ${toJson(entry.after)}::jsonb, ${requestId})`;
}

function toJson(value: object | null): string | null {
  return value === null ? null : JSON.stringify(value);
}

export interface AuditRow {
  id: string;
  tenant_id: string | null;
  actor: Actor['kind'];
  key_id: string | null;
  operation: string;
  subject_id: string;
  before: Prisma.JsonObject | null;
  after: Prisma.JsonObject | null;
  request_id: string | null;
  occurred_at: Date;
  transaction_id: bigint;
  seq: bigint;
}

export interface AuditFilter {
  /** Tenant whose entries are wanted; null for the entries of all tenants and of the operator. */
  readonly tenantId: string | null;
  readonly subjectId?: string | undefined;
}

export function createAuditRepository(db: Database) {
  return {
    /**
     * Lists audit entries in the order of commits: those after a position and, if `upTo` is given, up to that position.
     */
    after: (
      { transaction, sequence }: CommitPosition,
      filter: AuditFilter & { limit: number; upTo?: CommitPosition },
      tx: Queryable = db,
    ): Promise<AuditRow[]> => {
      const { upTo } = filter;
      const end =
        upTo === undefined
          ? Prisma.empty
          : Prisma.sql`AND (transaction_id, seq) <= (${upTo.transaction}::bigint, ${upTo.sequence}::bigint)`;
      return tx.$queryRaw<AuditRow[]>`
        SELECT id, tenant_id, actor, key_id, operation, subject_id, before, after, request_id, occurred_at,
          transaction_id, seq
        FROM audit_entries
        WHERE (transaction_id, seq) > (${transaction}::bigint, ${sequence}::bigint)
          AND transaction_id < ${FIRST_RUNNING}
          ${end} ${conditions(filter)}
        ORDER BY transaction_id, seq LIMIT ${filter.limit}`;
    },

    /** Reads the position of the last audit entry that can be read now; null if there is no entry. */
    async last(filter: AuditFilter, tx: Queryable = db): Promise<CommitPosition | null> {
      const [row] = await tx.$queryRaw<CommitPosition[]>`
        SELECT transaction_id AS transaction, seq AS sequence FROM audit_entries
        WHERE transaction_id < ${FIRST_RUNNING} ${conditions(filter)}
        ORDER BY transaction_id DESC, seq DESC LIMIT 1`;
      return row ?? null;
    },
  };
}

function conditions({ tenantId, subjectId }: AuditFilter): Prisma.Sql {
  const ofTenant = tenantId === null ? Prisma.empty : Prisma.sql`AND tenant_id = ${tenantId}`;
  const ofSubject = subjectId === undefined ? Prisma.empty : Prisma.sql`AND subject_id = ${subjectId}`;
  return Prisma.sql`${ofTenant} ${ofSubject}`;
}
