import { folderDigest, withRegisteredArtifact, type ArtifactStore } from '../../platform/artifacts/index.ts';
import { bytesOfPart, checkListing, fileOfContent, partCount, SourceError } from '../../platform/base-sources/index.ts';
import { SETTINGS } from '../../platform/config/settings.ts';
import { Prisma, withTransaction, type Database, type Transaction } from '../../platform/database/database.ts';
import { AppError, conflict, notFound, unprocessable } from '../../platform/contract/errors.ts';
import { newId } from '../../platform/contract/ids.ts';
import { toPage, type Page } from '../../platform/contract/pagination.ts';
import type { RecordAnswer } from '../../platform/contract/record-answer.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import type { Upload } from '../../platform/contract/upload.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import { toUpload, toUploadEntry } from './base-upload.mapper.ts';
import { baseUploadRepository as repository, type PartKey, type UploadWithFiles } from './base-upload.repository.ts';
import {
  MOST_PARTS,
  type BaseModelUpload,
  type BaseModelUploadEntry,
  type CreateBaseModelUpload,
  type ListBaseModelUploads,
  type UploadedPart,
} from './base-upload.schemas.ts';
import { checkSentFiles, isArchive } from './file-names.ts';
import { checked, checkPartSize } from './received-part.ts';

export interface BaseUploadLimits {
  /** Largest size of an upload, in bytes. */
  readonly baseUploadBytes: number;
  /** Part size of small uploads, in bytes. Large uploads have larger parts. */
  readonly baseUploadPartBytes: number;
  /** Largest number of uploads that may be unfinished at a time. */
  readonly baseUploads: number;
  /** Number of days after which an upload to which no part is sent is removed. */
  readonly baseUploadDays: number;
}

interface BaseUploadDependencies {
  readonly db: Database;
  readonly artifacts: ArtifactStore;
  readonly limits: BaseUploadLimits;
}

/** Creates the service for uploads of base models, which only the operator may use. */
export function createBaseUploadService({ db, artifacts, limits }: BaseUploadDependencies) {
  const { baseUploadDays: days } = limits;

  async function show(row: UploadWithFiles, tx: Transaction | Database = db): Promise<BaseModelUpload> {
    return toUpload(row, await repository.partNumbers(tx, row.id));
  }

  async function change<T>(id: string, work: (tx: Transaction, row: UploadWithFiles) => Promise<T>): Promise<T> {
    return withTransaction(db, async (tx) => {
      const row = await repository.lock(tx, id);
      if (row === null) throw notFound('base model upload', id);
      return work(tx, row);
    });
  }

  return {
    /**
     * Creates an upload for announced files, whose parts the client sends afterwards.
     * @throws AppError 409 `too_many_base_model_uploads`, 413 `upload_too_large`, 422 `source_refused`
     */
    async create({ files }: CreateBaseModelUpload, record: RecordAnswer<BaseModelUpload>): Promise<BaseModelUpload> {
      const id = newId('baseModelUpload');
      checkFiles(id, files);
      const bytes = files.reduce((sum, { size }) => sum + size, 0);
      if (bytes > limits.baseUploadBytes) throw tooLarge(bytes, limits.baseUploadBytes);
      const partBytes = partBytesOf(bytes, files.length, limits.baseUploadPartBytes);
      const filesDigest = folderDigest(files.map(({ name, size, sha256 }) => ({ path: name, bytes: size, sha256 })));
      return withTransaction(db, async (tx) => {
        await repository.lockNew(tx);
        if ((await repository.countUnfinished(tx)) >= limits.baseUploads) throw tooMany(limits.baseUploads);
        const row = await repository.insert(tx, { id, filesDigest, bytes, partBytes, days, files });
        const data = { bytes, files: files.length };
        await recordEvent(tx, { tenantId: null, type: 'base_model_upload.created', subjectId: id, data });
        const upload = await show(row, tx);
        await record(tx, upload);
        return upload;
      });
    },

    async list(query: ListBaseModelUploads): Promise<Page<BaseModelUploadEntry>> {
      return toPage(await repository.page(db, query), query, toUploadEntry);
    },

    /** Finds an upload with its files and missing parts. @throws AppError 404 */
    async get(id: string): Promise<BaseModelUpload> {
      const row = await repository.find(db, id);
      if (row === null) throw notFound('base model upload', id);
      return show(row);
    },

    /**
     * Stores one part of a file, in place of an earlier part with the same number. When the promise resolves, the part
     * survives a crash.
     * @param sha256 SHA-256 that the part must have, hexadecimal; null if the sender announced none
     * @throws AppError 404, 409 `base_model_upload_not_open`, 422 `invalid_part` or `digest_mismatch`, 400
     *   `upload_aborted`, 507
     */
    async putPart(
      key: PartKey,
      { sha256, ...upload }: Upload & { sha256: string | null },
      recordChange: RecordChange,
    ): Promise<UploadedPart> {
      const { uploadId, fileName, number } = key;
      const file = await repository.file(db, uploadId, fileName);
      if (file === null) throw notFound('file of a base model upload', `${uploadId}/${fileName}`);
      if (file.state !== 'open') throw notOpen(uploadId, file.state);
      const parts = partCount(file.size, file.partBytes);
      const what = `part ${number} of ${fileName}`;
      if (number > parts) throw unprocessable('invalid_part', `${fileName} has ${parts} parts, and this is ${number}`);
      const part = { what, bytes: bytesOfPart(number, file.size, file.partBytes), sha256 };
      // A part of the wrong size is refused before it is read.
      if (upload.declaredBytes !== null) checkPartSize(part, upload.declaredBytes);
      const stored = await artifacts.putFile(checked(upload.chunks, part), 'base_part');
      const answer = { file: fileName, number, bytes: stored.bytes, sha256: stored.digest.slice('sha256:'.length) };
      await withRegisteredArtifact({ db, artifacts }, stored, async (tx) => {
        if (!(await repository.touch(tx, uploadId, days))) throw await closed(tx, uploadId);
        await repository.putPart(tx, key, stored.digest);
        const data = { file: fileName, number };
        await recordEvent(tx, { tenantId: null, type: 'base_model_upload.part_received', subjectId: uploadId, data });
        await recordChange(tx, { tenantId: null, subjectId: uploadId, before: null, after: answer });
      });
      return answer;
    },

    /**
     * Closes an upload whose parts have all arrived, so that its verification begins. An upload that is being verified
     * or complete is returned unchanged.
     * @throws AppError 404, 409 `base_model_upload_incomplete`, or `base_model_upload_not_open` if its verification
     *   failed
     */
    complete: (id: string, record: RecordAnswer<BaseModelUpload>): Promise<BaseModelUpload> =>
      change(id, async (tx, row) => {
        if (row.state === 'failed') throw notOpen(id, row.state);
        const before = await show(row, tx);
        const first = before.files.find(({ missing }) => missing.length > 0);
        if (first !== undefined) throw incomplete(before, first);
        if (row.state !== 'open') {
          await record(tx, before, { state: before.state });
          return before;
        }
        const data = { state: 'verifying', error: Prisma.DbNull, nextAttemptAt: new Date(0), attempts: 0 };
        const upload = await show(await repository.setState(tx, id, data), tx);
        await recordEvent(tx, { tenantId: null, type: 'base_model_upload.verifying', subjectId: id, data: {} });
        await record(tx, upload, { state: before.state });
        return upload;
      }),

    /**
     * Removes an upload. The collector deletes the stored parts later.
     * @throws AppError 404, 409 `base_model_upload_in_use` if a base model version is made of it
     */
    delete: (id: string, recordChange: RecordChange): Promise<void> =>
      change(id, async (tx, row) => {
        if (await repository.hasVersions(tx, id)) throw inUse(id);
        await repository.delete(tx, id);
        await recordEvent(tx, { tenantId: null, type: 'base_model_upload.deleted', subjectId: id, data: {} });
        await recordChange(tx, { tenantId: null, subjectId: id, before: toUploadEntry(row), after: null });
      }),
  };

  async function closed(tx: Transaction, id: string): Promise<AppError> {
    const row = await repository.find(tx, id);
    return row === null ? notFound('base model upload', id) : notOpen(id, row.state);
  }
}

/**
 * Refuses files that cannot be used, by their names and sizes, before the client sends them. If an archive is among
 * them, only names are checked, because its contents are not known yet.
 */
function checkFiles(id: string, files: CreateBaseModelUpload['files']): void {
  checkSentFiles(files);
  if (files.some(({ name }) => isArchive(name))) return;
  const names = files.map(({ name }) => name);
  try {
    checkListing({ kind: 'upload', id }, files.map(fileOfContent), names);
  } catch (error) {
    if (!(error instanceof SourceError)) throw error;
    throw unprocessable('source_refused', error.message.replace(`upload://${id}`, 'the upload'));
  }
}

const MIB = 2 ** 20;

/**
 * Chooses the part size of an upload, in bytes. Parts of large uploads are larger, so that there are never more parts
 * than {@link MOST_PARTS}.
 */
function partBytesOf(bytes: number, files: number, smallest: number): number {
  const needed = bytes / (MOST_PARTS - files);
  return needed <= smallest ? smallest : Math.ceil(needed / MIB) * MIB;
}

function tooLarge(bytes: number, limit: number): AppError {
  return new AppError({
    code: 'upload_too_large',
    status: 413,
    message: `the files have ${bytes} bytes, expected at most ${limit} (${SETTINGS.baseUploadBytes.variable})`,
    details: { max_bytes: limit, setting: SETTINGS.baseUploadBytes.variable },
  });
}

function tooMany(limit: number): AppError {
  const message =
    `${limit} uploads of base models are not complete, and there cannot be more (${SETTINGS.baseUploads.variable}): ` +
    'complete or delete one (GET /v1/base-model-uploads?state=open)';
  return conflict('too_many_base_model_uploads', message, { limit });
}

function notOpen(id: string, state: string): AppError {
  return conflict('base_model_upload_not_open', `base model upload ${id} is ${state}, expected an open one`, { state });
}

function incomplete(upload: BaseModelUpload, { name, missing }: BaseModelUpload['files'][number]): AppError {
  const files = upload.files.filter((file) => file.missing.length > 0).length;
  const message =
    `parts of ${files} files are missing, the first one is part ` + `${missing[0]!.first} of ${name}: send them`;
  return conflict('base_model_upload_incomplete', message, { file: name, part: missing[0]!.first });
}

function inUse(id: string): AppError {
  const message = `base model upload ${id} has the files of a base model version, and is kept as long as that`;
  return conflict('base_model_upload_in_use', message);
}
