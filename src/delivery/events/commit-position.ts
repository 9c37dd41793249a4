import { Prisma } from '../../platform/database/database.ts';
import { AppError } from '../../platform/contract/errors.ts';

/**
 * A position in the order of commits: the transaction that made a change, and the place of the change within it.
 * Readers stop before the first transaction that is still running, so whatever is committed later comes after what they
 * have read.
 */
export interface CommitPosition {
  readonly transaction: bigint;
  readonly sequence: bigint;
}

/** The pattern of a position in requests. `0` stands for the position before everything. */
export const POSITION_PATTERN = '^(0|[0-9]{1,18}-[0-9]{1,18})$';

export function isPosition(text: string): boolean {
  return new RegExp(POSITION_PATTERN).test(text);
}

/**
 * The first transaction that was still running when the statement took its snapshot; all before it have ended. A
 * transaction that is known to belong to another database of the server is ignored; one whose database is unknown
 * counts. So a transaction of another database may count for a moment while it ends, or for as long as it is prepared,
 * and a later statement may return an earlier transaction.
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
 * Explanation for a reader who comes too late: the kind of rows that were pruned, the setting that controls it, and the
 * alternative.
 */
export interface Retained {
  readonly what: string;
  readonly setting: string;
  readonly advice?: string;
}

/**
 * Call it after the read, so that it also notices what was pruned during the read.
 * @throws AppError 410 `position_expired` if something after the position was pruned, so that the reader would miss it
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
 * Refuses a position that the database has not reached, as after it was restored from a dump.
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
