import { Prisma } from '../../platform/database/database.ts';
import { AppError } from '../../platform/contract/errors.ts';

/**
 * Position in the order of commits: the transaction that made a change, and the place of the change within it. Readers
 * stop before the first transaction that is still running, so everything that commits later comes after what they have
 * read.
 */
export interface CommitPosition {
  readonly transaction: bigint;
  readonly sequence: bigint;
}

/** Pattern of a position in requests. `0` is the position before all changes. */
export const POSITION_PATTERN = '^(0|[0-9]{1,18}-[0-9]{1,18})$';

export function isPosition(text: string): boolean {
  return new RegExp(POSITION_PATTERN).test(text);
}

/**
 * SQL expression for the number of the oldest transaction that was still running when the statement took its snapshot;
 * all transactions with lower numbers have ended. Transactions in other databases of the server are ignored if
 * PostgreSQL shows which database they belong to. It does not show that for a transaction that is ending or prepared.
 * Such a transaction counts, so a later statement may return a lower number than an earlier one.
 */
export const FIRST_RUNNING = Prisma.sql`(SELECT readapt_first_running())`;

export function formatPosition({ transaction, sequence }: CommitPosition): string {
  return `${transaction}-${sequence}`;
}

/** @param text a position that matches {@link POSITION_PATTERN} */
export function parsePosition(text: string): CommitPosition {
  const [transaction, sequence = '0'] = text.split('-') as [string, string?];
  return { transaction: BigInt(transaction), sequence: BigInt(sequence) };
}

/**
 * Texts for the error that rows after a position were pruned: the kind of rows, the setting that controls the pruning,
 * and advice for the reader.
 */
export interface Retained {
  readonly what: string;
  readonly setting: string;
  readonly advice?: string;
}

/**
 * Requires that no rows after a position were pruned. Call this after reading the rows, so that it also notices rows
 * that were pruned while others were being read.
 * @throws AppError 410 `position_expired` if the reader would miss pruned rows
 */
export function requireRetained(
  position: CommitPosition,
  pruned: CommitPosition | null,
  { what, setting, advice }: Retained,
): void {
  if (pruned === null || !isBefore(position, pruned)) return;
  const end = formatPosition(pruned);
  throw new AppError({
    code: 'position_expired',
    status: 410,
    message:
      `${what} after position ${formatPosition(position)} were pruned, because they are older than ` +
      `${setting}: go on with after=${end}${advice === undefined ? '' : `; ${advice}`}`,
    details: { pruned_up_to: end },
  });
}

/** Whether a change comes before another one in the order of commits. */
export function isBefore(a: CommitPosition, b: CommitPosition): boolean {
  return a.transaction < b.transaction || (a.transaction === b.transaction && a.sequence < b.sequence);
}

export function later(a: CommitPosition, b: CommitPosition): CommitPosition {
  return isBefore(a, b) ? b : a;
}

/**
 * Refuses a position ahead of the database, which a reader may have after the database was restored from a dump.
 * @throws AppError 400 `invalid_cursor`
 */
export function requireReached(text: string, { transaction, sequence }: CommitPosition, next: bigint): void {
  // A new stream starts at the position just before the next transaction.
  if (transaction < next || (transaction === next && sequence === 0n)) return;
  throw new AppError({
    code: 'invalid_cursor',
    status: 400,
    message: `position ${text} is ahead of the database, which was restored from a dump: read from the beginning again`,
  });
}
