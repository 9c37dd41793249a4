import type { Transaction } from './database.ts';

/**
 * Stores the answer of a request in the transaction that makes its change, so that a retry finds either both or
 * neither. Services call it last in the transaction. Without an `Idempotency-Key` it does nothing.
 *
 * @throws AppError 409 if another request has taken over the key in the meantime, so that the change is rolled back
 */
export type RecordAnswer<T> = (tx: Transaction, answer: T) => Promise<void>;

/** Records nothing, for callers without a request. */
export const unrecorded: RecordAnswer<unknown> = () => Promise.resolve();
