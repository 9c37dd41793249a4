import type { Transaction } from '../database/database.ts';

/**
 * Records a request's change in the audit log, with the answer to the request as the state after the change. If the
 * request has an `Idempotency-Key`, also stores the answer. All of this happens in the transaction that makes the
 * change, so a retry finds either everything or nothing. Services call this last in the transaction.
 *
 * @param before the state before the change, if the request replaces something
 * @throws AppError 409 if another request has taken over the idempotency key in the meantime, so that the change is
 * rolled back
 */
export type RecordAnswer<T> = (tx: Transaction, answer: T, before?: object) => Promise<void>;

/** Writes nothing to the audit log, for callers that make a change without a request. */
export const unrecorded: RecordAnswer<unknown> = () => Promise.resolve();
