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

/** Upload on which this process holds the lease. */
interface HeldUpload {
  readonly id: string;
  readonly lease: Lease;
}

export interface ClaimedUpload {
  readonly id: string;
  readonly partBytes: number;
  /** Number of verifications begun since the upload was last closed, including this one. */
  readonly attempts: number;
}

/** Progress of reading a file. */
export interface FileProgress {
  readonly name: string;
  readonly bytes: number;
}

/** Reason why an upload is not complete. */
export interface UploadError {
  readonly code: string;
  readonly message: string;
}

/** File to verify, with the contents found by an earlier verification; null if there was none. */
export type FileToVerify = AnnouncedFile & { readonly contents: readonly UploadedFile[] | null };

/** Result of a verification. */
export interface VerificationOutcome {
  readonly state: 'open' | 'complete' | 'failed';
  readonly error: UploadError | null;
  readonly event: Extract<NewEvent, { type: `base_model_upload.${string}` }>;
  /** Parts to be sent again: all parts of a file, or one of them. */
  readonly forget?: { readonly file: string; readonly number?: number };
}

const IS_FREE = Prisma.sql`(u.lease_expires_at IS NULL OR u.lease_expires_at < clock_timestamp())`;
const IS_DUE = Prisma.sql`u.state = 'verifying' AND u.next_attempt_at <= clock_timestamp() AND ${IS_FREE}`;
const after = (ms: number): Prisma.Sql => Prisma.sql`clock_timestamp() + make_interval(secs => ${ms / 1000}::float8)`;

export const verificationRepository = {
  /** Uploads that are due for verification and that no process holds. */
  candidates: (db: Queryable, limit: number): Promise<{ id: string }[]> =>
    db.$queryRaw`SELECT u.id FROM base_model_uploads u WHERE ${IS_DUE} ORDER BY u.id LIMIT ${limit}`,

  /** Claims an upload and starts its lease; null if another process was faster. */
  async claim(db: Queryable, id: string, { owner, forMs }: Lease): Promise<ClaimedUpload | null> {
    const [row] = await db.$queryRaw<ClaimedUpload[]>`
      UPDATE base_model_uploads u SET lease_owner = ${owner}, lease_expires_at = ${after(forMs)},
        attempts = attempts + 1
      WHERE u.id = ${id} AND ${IS_DUE} RETURNING u.id, u.part_bytes AS "partBytes", u.attempts`;
    return row ?? null;
  },

  /** Renews the lease and stores the progress of the file being read. False if the lease is lost. */
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

  /** Releases the lease and sets when the upload is verified again. */
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

  /** Stores the contents found in a file. False if the lease is lost. */
  keep: (db: Database, held: HeldUpload, file: AnnouncedFile, contents: readonly UploadedFile[]) =>
    whileHeld(db, held, async (tx) => {
      await baseUploadRepository.keepContents(tx, held.id, file, contents);
    }),

  /** Ends a verification. @returns false, and writes nothing, if the lease is lost */
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
