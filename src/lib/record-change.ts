import type { Transaction } from './database.ts';

/** A change as the audit log shows it. Secrets and the texts of rows must not be in it. */
export interface Change {
  /** The tenant that may see it; null for the operator alone. */
  readonly tenantId: string | null;
  readonly subjectId: string;
  /** Null where something is created. */
  readonly before: object | null;
  readonly after: object | null;
}

/** Writes a change of a caller to the audit log, in the transaction that makes the change. */
export type RecordChange = (tx: Transaction, change: Change) => Promise<void>;
