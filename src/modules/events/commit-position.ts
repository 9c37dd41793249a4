import { Prisma } from '../../lib/database.ts';
import { AppError } from '../../lib/errors.ts';

/**
 * A position in the order of commits: the transaction that made a change, and the place of the change within it. Readers go
 * up to the first transaction that is still running, so whatever is committed later comes after what they have read.
 */
export interface CommitPosition {
  readonly transaction: bigint;
  readonly sequence: bigint;
}

/** The pattern of a position in requests. A number alone is the `sequence` of an event from before version 0.3. */
export const POSITION_PATTERN = '^[0-9]{1,18}(-[0-9]{1,18})?$';

/**
 * The first transaction that was still running when the statement took its snapshot: those before it have ended. One that is
 * seen to belong to another database of the server does not count, and one of which that is not known does.
 */
export const FIRST_RUNNING = Prisma.sql`(SELECT readapt_first_running())`;

export function formatPosition({ transaction, sequence }: CommitPosition): string {
  return `${transaction}-${sequence}`;
}

/** @param text what matches {@link POSITION_PATTERN} */
export function parsePosition(text: string): CommitPosition {
  const [first, second] = text.split('-') as [string, string?];
  return second === undefined
    ? { transaction: 0n, sequence: BigInt(first) }
    : { transaction: BigInt(first), sequence: BigInt(second) };
}

/** @throws AppError 400 `invalid_cursor` if the database has not come that far, because it was restored from a dump */
export function requireReached(text: string, { transaction }: CommitPosition, next: bigint): void {
  if (transaction < next) return;
  throw new AppError({
    code: 'invalid_cursor',
    status: 400,
    message: `position ${text} is ahead of the database, which was restored from a dump: read from the beginning again`,
  });
}
