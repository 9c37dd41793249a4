import type { Transaction } from './database.ts';

/**
 * Stores what a request will be answered in the transaction that makes its change, so that a retry finds either both
 * or neither. Services call it last in the transaction; without an `Idempotency-Key` it does nothing.
 *
 * @throws AppError 409 if another request has taken over the key meanwhile; the change is then not made.
 */
export type RecordAnswer<T> = (tx: Transaction, answer: T) => Promise<void>;

/** For callers who have no request. */
export const unrecorded: RecordAnswer<unknown> = () => Promise.resolve();
