import type { Lease } from '../../../lib/claim-loop.ts';
import type { UploadedFile } from '../../../platform/base-sources/index.ts';
import {
  Prisma,
  withTransaction,
  type Database,
  type Queryable,
  type Transaction,
} from '../../../platform/database/database.ts';
import { recordEvent, type NewEvent } from '../../../delivery/events/index.ts';
import { baseUploadRepository } from '../base-upload.repository.ts';
import type { AnnouncedFile } from './read-contents.ts';

/** Upload that this process has claimed for verification, with the lease of this process. */
interface HeldUpload {
  readonly id: string;
  readonly lease: Lease;
}

export interface ClaimedUpload {
  readonly id: string;
  readonly partBytes: number;
  /** Number of attempts to verify the upload since the client last closed it, including the one that now begins. */
  readonly attempts: number;
}

/** Name of the file that is being verified, with the number of its bytes that have been read. */
export interface FileProgress {
  readonly name: string;
  readonly bytes: number;
}

/** Reason why an upload could not be verified, or waits to be verified again. */
export interface UploadError {
  readonly code: string;
  readonly message: string;
}

/**
 * Uploaded file to verify. `contents` are the model files that an earlier attempt has found in it; null if no attempt
 * has verified this file yet.
 */
export type FileToVerify = AnnouncedFile & { readonly contents: readonly UploadedFile[] | null };

/** State in which a verification leaves an upload, with the error and the event to record. */
export interface VerificationOutcome {
  readonly state: 'open' | 'complete' | 'failed';
  readonly error: UploadError | null;
  readonly event: Extract<NewEvent, { type: `base_model_upload.${string}` }>;
  /** Parts that the client has to send again: one part of a file or, without a number, all parts of the file. */
  readonly forget?: { readonly file: string; readonly number?: number };
}

const IS_FREE = Prisma.sql`(u.lease_expires_at IS NULL OR u.lease_expires_at < clock_timestamp())`;
const IS_DUE = Prisma.sql`u.state = 'verifying' AND u.next_attempt_at <= clock_timestamp() AND ${IS_FREE}`;
const after = (ms: number): Prisma.Sql => Prisma.sql`clock_timestamp() + make_interval(secs => ${ms / 1000}::float8)`;

export const verificationRepository = {
  /** Finds closed uploads that are due for verification and that no process has claimed. */
  candidates: (db: Queryable, limit: number): Promise<{ id: string }[]> =>
    db.$queryRaw`SELECT u.id FROM base_model_uploads u WHERE ${IS_DUE} ORDER BY u.id LIMIT ${limit}`,

  /** Claims an upload for verification, which starts the lease; null if another process was faster. */
  async claim(db: Queryable, id: string, { owner, forMs }: Lease): Promise<ClaimedUpload | null> {
    const [row] = await db.$queryRaw<ClaimedUpload[]>`
      UPDATE base_model_uploads u SET lease_owner = ${owner}, lease_expires_at = ${after(forMs)},
        attempts = attempts + 1
      WHERE u.id = ${id} AND ${IS_DUE} RETURNING u.id, u.part_bytes AS "partBytes", u.attempts`;
    return row ?? null;
  },

  /**
   * Renews the lease on an upload, and stores how much of the file that is being verified has been read. Returns false,
   * and changes nothing, if the lease is lost.
   */
  renew: (db: Database, held: HeldUpload, progress: FileProgress | null): Promise<boolean> =>
    whileHeld(db, held, async (tx) => {
      const { id, lease } = held;
      await tx.$executeRaw`UPDATE base_model_uploads SET lease_expires_at = ${after(lease.forMs)} WHERE id = ${id}`;
      if (progress === null) return;
      const { name, bytes } = progress;
      await tx.baseModelUploadFile.updateMany({
        where: { uploadId: id, name, contents: { equals: Prisma.DbNull } },
        data: { verifiedBytes: bytes },
      });
    }),

  /** Releases the lease on an upload, and sets the time in milliseconds after which its verification is tried again. */
  postpone: (db: Queryable, id: string, { owner }: Lease, { ms, error }: { ms: number; error: UploadError | null }) =>
    db.$executeRaw`
      UPDATE base_model_uploads SET lease_owner = NULL, lease_expires_at = NULL, next_attempt_at = ${after(ms)},
        error = ${error === null ? null : JSON.stringify(error)}::jsonb
      WHERE id = ${id} AND lease_owner = ${owner}`,

  async files(db: Queryable, uploadId: string): Promise<FileToVerify[]> {
    const rows = await db.baseModelUploadFile.findMany({ where: { uploadId }, orderBy: { name: 'asc' } });
    return rows.map(({ name, size, sha256, contents }) => ({
      ...{ name, size: Number(size), sha256 },
      contents: contents as unknown as UploadedFile[] | null,
    }));
  },

  /**
   * Stores which model files were found in an uploaded file. Returns false, and changes nothing, if the lease is lost.
   */
  keep: (db: Database, held: HeldUpload, file: AnnouncedFile, contents: readonly UploadedFile[]) =>
    whileHeld(db, held, async (tx) => {
      await baseUploadRepository.keepContents(tx, held.id, file, contents);
    }),

  /** Ends a verification and stores its outcome. @returns false, and changes nothing, if the lease is lost */
  finish: (db: Database, held: HeldUpload, { state, error, event, forget }: VerificationOutcome, days: number) =>
    whileHeld(db, held, async (tx) => {
      const { id } = held;
      if (forget !== undefined) await baseUploadRepository.forgetParts(tx, id, forget.file, forget.number);
      await baseUploadRepository.setState(tx, id, {
        state,
        error: error === null ? Prisma.DbNull : { ...error },
        completedAt: state === 'complete' ? new Date() : null,
      });
      await baseUploadRepository.putOff(tx, id, days);
      await recordEvent(tx, event);
    }),
};

async function whileHeld(
  db: Database,
  { id, lease: { owner } }: HeldUpload,
  work: (tx: Transaction) => Promise<void>,
): Promise<boolean> {
  return withTransaction(db, async (tx) => {
    const held = await tx.$queryRaw<object[]>`
      SELECT 1 FROM base_model_uploads WHERE id = ${id} AND lease_owner = ${owner} FOR UPDATE`;
    if (held.length === 0) return false;
    await work(tx);
    return true;
  });
}
