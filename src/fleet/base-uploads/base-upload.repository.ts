import type { UploadedFile } from '../../platform/base-sources/index.ts';
import { Prisma, type Database, type Queryable, type Transaction } from '../../platform/database/database.ts';
import { pageArguments } from '../../platform/contract/pagination.ts';
import type { ListBaseModelUploads } from './base-upload.schemas.ts';

const WITH_FILES = { files: { orderBy: { name: 'asc' } } } satisfies Prisma.BaseModelUploadInclude;

export type UploadRow = Prisma.BaseModelUploadGetPayload<object>;
export type UploadWithFiles = Prisma.BaseModelUploadGetPayload<{ include: typeof WITH_FILES }>;

export interface NewUpload {
  readonly id: string;
  readonly filesDigest: string;
  readonly bytes: number;
  readonly partBytes: number;
  readonly days: number;
  readonly files: readonly { readonly name: string; readonly size: number; readonly sha256: string }[];
}

/** Identity of one part of an uploaded file. The number of a file's first part is 1. */
export interface PartKey {
  readonly uploadId: string;
  readonly fileName: string;
  readonly number: number;
}

export const baseUploadRepository = {
  /**
   * Prevents other transactions from creating uploads until this transaction ends, so that concurrent requests do not
   * exceed the limit on unfinished uploads.
   */
  lockNew: (tx: Transaction) => tx.$executeRaw`SELECT pg_advisory_xact_lock(7236838)`,

  /**
   * Counts the unfinished uploads: those that are open or being verified. Failed uploads, and expired ones that are
   * about to be removed, do not count.
   */
  async countUnfinished(tx: Transaction): Promise<number> {
    const [row] = await tx.$queryRaw<[{ count: number }]>`
      SELECT count(*)::int AS count FROM base_model_uploads
      WHERE state IN ('open', 'verifying') AND expires_at > clock_timestamp()`;
    return row.count;
  },

  async insert(tx: Transaction, { days, files, ...upload }: NewUpload): Promise<UploadWithFiles> {
    await tx.baseModelUpload.create({ data: { ...upload, files: { createMany: { data: [...files] } } } });
    await baseUploadRepository.touch(tx, upload.id, days);
    return tx.baseModelUpload.findUniqueOrThrow({ where: { id: upload.id }, include: WITH_FILES });
  },

  page(db: Database, query: ListBaseModelUploads): Promise<UploadRow[]> {
    const { where, ...rest } = pageArguments(query);
    const { state, files_digest: filesDigest } = query;
    return db.baseModelUpload.findMany({
      ...rest,
      where: { ...where, ...(state !== undefined && { state }), ...(filesDigest !== undefined && { filesDigest }) },
    });
  },

  find: (db: Queryable, id: string): Promise<UploadWithFiles | null> =>
    db.baseModelUpload.findUnique({ where: { id }, include: WITH_FILES }),

  async lock(tx: Transaction, id: string): Promise<UploadWithFiles | null> {
    await tx.$executeRaw`SELECT 1 FROM base_model_uploads WHERE id = ${id} FOR UPDATE`;
    return baseUploadRepository.find(tx, id);
  },

  /** Reads the numbers of the parts that have arrived, in ascending order, by file name. */
  async partNumbers(db: Queryable, uploadId: string): Promise<Map<string, number[]>> {
    const rows = await db.$queryRaw<{ name: string; numbers: number[] }[]>`
      SELECT file_name AS name, array_agg(number ORDER BY number) AS numbers
      FROM base_model_upload_parts WHERE upload_id = ${uploadId} GROUP BY file_name`;
    return new Map(rows.map(({ name, numbers }) => [name, numbers]));
  },

  /**
   * Reads the size of a file of an upload, in bytes, with the upload's state and its part size; null if the upload has
   * no file of that name.
   */
  async file(db: Queryable, uploadId: string, name: string) {
    const found = await db.baseModelUploadFile.findUnique({
      where: { uploadId_name: { uploadId, name } },
      select: { size: true, upload: { select: { state: true, partBytes: true } } },
    });
    return found && { size: Number(found.size), ...found.upload };
  },

  /**
   * Postpones the expiry of an open upload because a part has arrived, and keeps the upload from being closed until the
   * transaction ends. Returns false, and changes nothing, if the upload is not open.
   */
  async touch(tx: Transaction, id: string, days: number): Promise<boolean> {
    const count = await tx.$executeRaw`
      UPDATE base_model_uploads SET expires_at = clock_timestamp() + make_interval(days => ${days}::int)
      WHERE id = ${id} AND state = 'open'`;
    return count === 1;
  },

  /**
   * Stores that a part has arrived. The part replaces an earlier part of the file with the same number. Results of an
   * earlier verification of the file are discarded.
   */
  async putPart(tx: Transaction, key: PartKey, artifactDigest: string): Promise<void> {
    const { uploadId, fileName: name } = key;
    await tx.baseModelUploadPart.upsert({
      where: { uploadId_fileName_number: key },
      create: { ...key, artifactDigest },
      update: { artifactDigest },
    });
    await tx.baseModelUploadFile.updateMany({
      where: { uploadId, name, verifiedBytes: { gt: 0 } },
      data: { contents: Prisma.DbNull, verifiedBytes: 0 },
    });
  },

  setState: (tx: Transaction, id: string, data: Prisma.BaseModelUploadUpdateInput): Promise<UploadWithFiles> =>
    tx.baseModelUpload.update({
      where: { id },
      data: { ...data, leaseOwner: null, leaseExpiresAt: null },
      include: WITH_FILES,
    }),

  forgetParts: (tx: Transaction, uploadId: string, fileName: string, number?: number) =>
    tx.baseModelUploadPart.deleteMany({ where: { uploadId, fileName, ...(number !== undefined && { number }) } }),

  /** Stores which model files were found in an uploaded file, after all of it was read and verified. */
  keepContents: (
    tx: Transaction,
    uploadId: string,
    { name, size }: { readonly name: string; readonly size: number },
    contents: readonly UploadedFile[],
  ) =>
    tx.baseModelUploadFile.update({
      where: { uploadId_name: { uploadId, name } },
      data: { contents: contents as unknown as Prisma.InputJsonArray, verifiedBytes: size },
    }),

  /** Sets the expiry of an upload to `days` days from now. An expired upload is removed if nothing uses it. */
  putOff: (tx: Transaction, id: string, days: number) => tx.$executeRaw`
    UPDATE base_model_uploads SET expires_at = clock_timestamp() + make_interval(days => ${days}::int)
    WHERE id = ${id}`,

  hasVersions: async (tx: Transaction, uploadId: string): Promise<boolean> =>
    (await tx.baseModelVersion.count({ where: { uploadId } })) > 0,

  delete: (tx: Transaction, id: string) => tx.baseModelUpload.delete({ where: { id } }),
};

/**
 * Removes up to `limit` expired uploads, except those being verified, with the rows of their parts.
 * @returns the identifiers of the removed uploads
 */
export async function removeExpiredUploads(tx: Transaction, limit: number): Promise<string[]> {
  const rows = await tx.$queryRaw<{ id: string }[]>`
    DELETE FROM base_model_uploads WHERE id IN (
      SELECT u.id FROM base_model_uploads u WHERE u.expires_at <= clock_timestamp() AND u.state <> 'verifying'
      LIMIT ${limit} FOR UPDATE SKIP LOCKED)
    RETURNING id`;
  return rows.map(({ id }) => id);
}
