import { extname } from 'node:path';
import { Readable } from 'node:stream';
import {
  explainMissing,
  type ArtifactStore,
  type ByteRange,
  type StoredFile,
} from '../../../platform/artifacts/index.ts';
import type { Database } from '../../../platform/database/database.ts';
import { AppError, notFound } from '../../../platform/contract/errors.ts';
import { unconfined } from '../../../platform/database/row-security/confined-database.repository.ts';
import { requireAdapterVersion } from '../references.ts';
import { FILE_TYPE, type VersionFile, type VersionFiles } from './version-file.schemas.ts';

/** File of an adapter version, which can be read in whole or in part. */
export interface OpenedFile {
  /** Hexadecimal SHA-256 of the file. */
  readonly sha256: string;
  readonly bytes: number;
  read(range?: ByteRange): Readable;
}

export interface VersionFileReader {
  /** The tenant to which the caller is confined, or null for the operator. */
  readonly scope: string | null;
  /** Signal that aborts when the client disconnects. Reading files then stops. */
  readonly gone: AbortSignal;
}

export function createVersionFileService({ db, artifacts }: { db: Database; artifacts: ArtifactStore }) {
  /**
   * Finds the stored files of an adapter version.
   * @throws AppError 404 if the caller can see no such version; 503 `storage_away`
   */
  async function filesOf(adapterId: string, versionId: string, { scope, gone }: VersionFileReader) {
    const version = await requireAdapterVersion(db, { adapterId, id: versionId }, scope);
    const digest = version.artifactDigest;
    // Unconfined, because artifacts of all tenants show whether the store is away.
    const asked = { db: unconfined(db), store: artifacts, digest };
    // Each tenant has a queue of its own, so a tenant with unread versions delays only itself.
    const listed = () => artifacts.files(digest, { line: version.tenantId, signal: gone });
    try {
      return { digest, files: await explainMissing(asked, listed) };
    } catch (error) {
      throw error === gone.reason ? clientGone() : error;
    }
  }

  return {
    /**
     * Lists the files of a version, with the URLs to download them.
     * @throws AppError 404 if the caller can see no such version; 503 `storage_away`
     */
    async list(adapterId: string, versionId: string, reader: VersionFileReader): Promise<VersionFiles> {
      const { digest, files } = await filesOf(adapterId, versionId, reader);
      const path = `/v1/adapters/${adapterId}/versions/${versionId}/files`;
      const shown = await Promise.all(files.map((file) => show(file, path)));
      return { adapter_id: adapterId, adapter_version_id: versionId, digest, files: shown };
    },

    /**
     * Opens one file of a version for reading.
     * @throws AppError 404 if the version or the file is not found; 503 `storage_away`
     */
    async open(adapterId: string, versionId: string, name: string, reader: VersionFileReader): Promise<OpenedFile> {
      const { files } = await filesOf(adapterId, versionId, reader);
      const file = files.find(({ path }) => path === name);
      if (file === undefined) throw notFound('file of the adapter version', name);
      const { bytes, sha256 } = file;
      const read = ({ start, end }: ByteRange = { start: 0, end: bytes - 1 }) =>
        Readable.from(bytes === 0 ? [] : file.read(start, end + 1), { objectMode: false });
      return { sha256, bytes, read };
    },
  };
}

/** Creates the error that ends a listing of files after the client has disconnected. No client gets it. */
function clientGone(): AppError {
  const message = 'the client has gone before the files of the version were listed';
  return new AppError({ code: 'upload_aborted', status: 400, message });
}

/**
 * Media types of an adapter's files by file extension; files with other extensions are downloaded as bytes. Browsers
 * show none of these types as a web page.
 */
const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.json': 'application/json',
  '.md': 'text/markdown; charset=utf-8',
};

async function show(file: StoredFile, path: string): Promise<VersionFile> {
  const { path: name, bytes, sha256 } = file;
  const mediaType = MEDIA_TYPES[extname(name)] ?? FILE_TYPE;
  const presigned = await file.presign({ filename: name, mediaType });
  const shown = { name, bytes, sha256, media_type: mediaType };
  if (presigned === null) return { ...shown, url: `${path}/${name}`, expires_at: null };
  return { ...shown, url: presigned.url, expires_at: presigned.expiresAt.toISOString() };
}
