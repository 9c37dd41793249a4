import type { Transaction } from '../database/database.ts';

/** Change to an object, as the audit log shows it. It must not contain secrets or the texts of dataset rows. */
export interface Change {
  /** Tenant that may see the change; null for the operator alone. */
  readonly tenantId: string | null;
  readonly subjectId: string;
  /** State before the change; null if something is created. */
  readonly before: object | null;
  readonly after: object | null;
}

/**
 * Author of a change: the operator or a tenant, by an API key, or somebody at the command line (`command`), who needs
 * no key.
 */
export interface Actor {
  readonly kind: 'operator' | 'tenant' | 'command';
  readonly keyId: string | null;
}

/** Entry of the audit log before it is written. */
export interface NewAuditEntry extends Change {
  readonly actor: Actor;
  /**
   * `operationId` of the API operation that made the change. A change made on the command line has that of the
   * equivalent operation.
   */
  readonly operation: string;
  readonly requestId: string | null;
}

/** Writes an entry of the audit log in the transaction that makes the change. */
export type WriteAuditEntry = (tx: Transaction, entry: NewAuditEntry) => Promise<void>;

/** Records a change in the audit log, with the caller as its author, in the transaction that makes the change. */
export type RecordChange = (tx: Transaction, change: Change) => Promise<void>;
