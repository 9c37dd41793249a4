import { Prisma } from '../../platform/database/database.ts';
import { AppError } from '../../platform/contract/errors.ts';

/**
 * A position in the order of commits: the transaction that made a change, and the place of the change within it. Readers go
 * up to the first transaction that is still running, so whatever is committed later comes after what they have read.
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
 * The first transaction that was still running when the statement took its snapshot: those before it have ended. One that is
 * seen to belong to another database of the server does not count, and one of which that is not known does. So one of another
 * database that did not count may do so for a moment while it ends, or for as long as it is prepared: a later statement may get an
 * earlier transaction.
 */
export const FIRST_RUNNING = Prisma.sql`(SELECT readapt_first_running())`;

export function formatPosition({ transaction, sequence }: CommitPosition): string {
  return `${transaction}-${sequence}`;
}

/** @param text what matches {@link POSITION_PATTERN} */
export function parsePosition(text: string): CommitPosition {
  const [transaction, sequence = '0'] = text.split('-') as [string, string?];
  return { transaction: BigInt(transaction), sequence: BigInt(sequence) };
}

/** What a reader is told who comes too late: what was pruned, by which setting, and what else there is for him. */
export interface Retained {
  readonly what: string;
  readonly setting: string;
  readonly advice?: string;
}

/**
 * Call it after something was read: what is pruned later has been read then.
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

/** @throws AppError 400 `invalid_cursor` if the database has not come that far, because it was restored from a dump */
export function requireReached(text: string, { transaction, sequence }: CommitPosition, next: bigint): void {
  // A stream that begins now has the place before the next transaction.
  if (transaction < next || (transaction === next && sequence === 0n)) return;
  throw new AppError({
    code: 'invalid_cursor',
    status: 400,
    message: `position ${text} is ahead of the database, which was restored from a dump: read from the beginning again`,
  });
}
