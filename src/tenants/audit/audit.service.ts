import { SETTINGS } from '../../platform/config/settings.ts';
import type { Database } from '../../platform/database/database.ts';
import { notFound } from '../../platform/contract/errors.ts';
import { toTimestamp } from '../../platform/contract/schemas.ts';
import {
  formatPosition,
  nextTransaction,
  parsePosition,
  prunedUpTo,
  requireReached,
  requireRetained,
  type CommitPosition,
} from '../../delivery/events/index.ts';
import { createAuditRepository, type AuditFilter, type AuditRow } from './audit.repository.ts';
import type { AuditEntries, AuditEntry, AuditExportQuery, AuditQuery } from './audit.schemas.ts';

/** Number of audit entries that an export reads from the database at a time. */
const PAGE = 1000;

/** Export of audit entries, up to the last entry that was readable when the export began. */
export interface AuditExportStream {
  /** Position of the last entry of the export; null if the export is empty. */
  readonly end: string | null;
  readonly entries: AsyncIterable<AuditEntry>;
}

/**
 * Creates the service for the audit log. `scope` is the tenant to which the caller is confined, or null for the
 * operator.
 */
export function createAuditService({ db }: { db: Database }) {
  const audit = createAuditRepository(db);

  /**
   * Requires that the housekeeping has removed no audit entry after the position.
   * @throws AppError 410 `position_expired`
   */
  async function requireUnpruned(position: CommitPosition, { tenantId }: AuditFilter): Promise<void> {
    if (position.transaction === 0n && position.sequence === 0n) return;
    const retained = { what: 'audit entries', setting: SETTINGS.auditRetentionDays.variable };
    requireRetained(position, await prunedUpTo(db, 'audit_entries', tenantId), retained);
  }

  async function* read(after: string, filter: AuditFilter, upTo: CommitPosition): AsyncGenerator<AuditEntry> {
    for (let position = parsePosition(after); ;) {
      const rows = await audit.after(position, { ...filter, limit: PAGE, upTo });
      await requireUnpruned(position, filter);
      yield* rows.map(toAuditEntry);
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE) return;
      position = { transaction: last.transaction_id, sequence: last.seq };
    }
  }

  return {
    /**
     * Lists a page of audit entries.
     * @throws AppError 400 `invalid_cursor`, 404 if a tenant asks for the entries of another tenant, 410
     * `position_expired`
     */
    async list(query: AuditQuery, scope: string | null): Promise<AuditEntries> {
      const after = query.after ?? '0';
      const position = parsePosition(after);
      const filter = filterOf(query, scope);
      const rows = await audit.after(position, { ...filter, limit: query.limit ?? 100 });
      await requireUnpruned(position, filter);
      if (rows.length === 0) requireReached(after, position, await nextTransaction(db));
      const data = rows.map(toAuditEntry);
      return { data, next_after: data.at(-1)?.sequence ?? query.after ?? null };
    },

    /**
     * Exports audit entries as a stream that reads them from the database page by page.
     * @throws AppError 404 if a tenant asks for the entries of another tenant, 410 `position_expired`, also while
     * entries are read
     */
    async export(query: AuditExportQuery, scope: string | null): Promise<AuditExportStream> {
      const filter = filterOf(query, scope);
      await requireUnpruned(parsePosition(query.after ?? '0'), filter);
      const last = await audit.last(filter);
      const entries = read(query.after ?? '0', filter, last ?? { transaction: 0n, sequence: 0n });
      return { end: last === null ? null : formatPosition(last), entries };
    },
  };
}

function filterOf(query: AuditExportQuery, scope: string | null): AuditFilter {
  if (scope !== null && query.tenant_id !== undefined && query.tenant_id !== scope) {
    throw notFound('tenant', query.tenant_id);
  }
  return { tenantId: scope ?? query.tenant_id ?? null, subjectId: query.subject_id };
}

function toAuditEntry(row: AuditRow): AuditEntry {
  const { transaction_id: transaction, seq: sequence, occurred_at: occurredAt, ...shown } = row;
  const { id, ...rest } = shown;
  return { id, sequence: formatPosition({ transaction, sequence }), ...rest, occurred_at: toTimestamp(occurredAt) };
}
