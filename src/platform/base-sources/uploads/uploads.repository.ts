import type { Queryable } from '../../database/database.ts';
import type { SentFile, UploadedFile } from './parts.ts';

export const uploadsRepository = {
  /** Lists the files of a complete upload; null if the upload is not complete or does not exist. */
  async contents(db: Queryable, id: string): Promise<UploadedFile[] | null> {
    const found = await db.baseModelUpload.findUnique({
      where: { id, state: 'complete' },
      select: { files: { select: { contents: true } } },
    });
    if (found === null) return null;
    return found.files.flatMap(({ contents }) => contents as unknown as UploadedFile[]);
  },

  /**
   * Finds the uploaded file that contains the model's file `name`, and the offset at which the model's file begins in
   * it; null if there is no complete upload with such a file.
   */
  async place(db: Queryable, id: string, name: string): Promise<(SentFile & { offset: number }) | null> {
    const rows = await db.$queryRaw<{ file_name: string; size: number; part_bytes: number; offset: number }[]>`
      SELECT f.name AS file_name, f.size::float8 AS size, u.part_bytes, (c.entry ->> 'offset')::float8 AS offset
      FROM base_model_uploads u JOIN base_model_upload_files f ON f.upload_id = u.id
      CROSS JOIN LATERAL jsonb_array_elements(f.contents) AS c (entry)
      WHERE u.id = ${id} AND u.state = 'complete' AND c.entry ->> 'name' = ${name}`;
    const row = rows[0];
    if (row === undefined) return null;
    const { file_name: fileName, size, part_bytes: partBytes, offset } = row;
    return { size, partBytes, offset, digests: await partDigests(db, id, fileName) };
  },
};

/** Lists the digests of the artifacts that hold the parts of an uploaded file, in the order of the parts. */
export async function partDigests(db: Queryable, uploadId: string, fileName: string): Promise<string[]> {
  const parts = await db.baseModelUploadPart.findMany({
    where: { uploadId, fileName },
    orderBy: { number: 'asc' },
    select: { artifactDigest: true },
  });
  return parts.map(({ artifactDigest }) => artifactDigest);
}
