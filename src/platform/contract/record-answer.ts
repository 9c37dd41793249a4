import type { Transaction } from '../database/database.ts';

/**
 * Writes the change of a request to the audit log, with its answer as the state after it, and stores the answer if the
 * request has an `Idempotency-Key`: all in the transaction that makes the change, so that a retry finds either
 * everything or nothing. Services call it last in the transaction.
 *
 * @param before the state before the change, if what the request creates takes the place of something
 * @throws AppError 409 if another request has taken over the key in the meantime, so that the change is rolled back
 */
export type RecordAnswer<T> = (tx: Transaction, answer: T, before?: object) => Promise<void>;

/** Records nothing, for callers without a request. */
export const unrecorded: RecordAnswer<unknown> = () => Promise.resolve();
