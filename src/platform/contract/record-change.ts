import type { Transaction } from '../database/database.ts';

/** A change as the audit log shows it. Secrets and the texts of rows must not be in it. */
export interface Change {
  /** The tenant that may see it; null for the operator alone. */
  readonly tenantId: string | null;
  readonly subjectId: string;
  /** Null where something is created. */
  readonly before: object | null;
  readonly after: object | null;
}

/** Author of a change; `command` is somebody at the command line, who needs no key. */
export interface Actor {
  readonly kind: 'operator' | 'tenant' | 'command';
  readonly keyId: string | null;
}

/** An entry of the audit log before it is written. */
export interface NewAuditEntry extends Change {
  readonly actor: Actor;
  /** The `operationId` of the API; commands have the one that does the same. */
  readonly operation: string;
  readonly requestId: string | null;
}

/** Writes an entry of the audit log, in the transaction that makes the change. */
export type WriteAuditEntry = (tx: Transaction, entry: NewAuditEntry) => Promise<void>;

/** Writes a change of a caller to the audit log, in the transaction that makes the change. */
export type RecordChange = (tx: Transaction, change: Change) => Promise<void>;
