import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { servingRefusal } from '../../../core/formats/peft/serving-rules.ts';
import type { ServingProfile } from '../../../core/options/serving-profile.ts';
import { withRegisteredArtifact, type ArtifactStore, type StoredArtifact } from '../../platform/artifacts/index.ts';
import type { PinnedSource } from '../../platform/base-sources/index.ts';
import { resolveAllowedFolder } from '../../platform/base-sources/place.ts';
import type { Database, Transaction } from '../../platform/database/database.ts';
import { unprocessable, type AppError } from '../../platform/contract/errors.ts';
import type { Upload } from '../../platform/contract/upload.ts';
import type { UploadRoom, UploadRooms } from '../../tenants/quotas/index.ts';
import { createTenantService } from '../../tenants/tenants/index.ts';
import { unpackAdapter } from './adapter-archive.ts';
import { copyAdapterFiles, isAdapterFile } from './adapter-files.ts';
import type { AdapterSources, FoundAdapter } from './sources/adapter-sources.ts';
import type { GivenAdapter } from './sources/given-adapter.ts';
import type { ImportedFrom } from './sources/source.schemas.ts';
import type { AdapterInspector } from './inspection/adapter-inspector.ts';
import type { InspectedAdapter } from './inspection/protocol.ts';

/**
 * Source of an adapter's files: a folder that the service can read, an uploaded archive, or files found in a hub or a
 * bucket.
 */
type AdapterSource = { readonly path: string } | { readonly archive: Upload } | { readonly found: FoundAdapter };

export interface ImportedAdapter {
  readonly artifact: StoredArtifact;
  readonly inspected: InspectedAdapter;
  /** Hub or bucket from which the adapter's files came; null if they came from a folder or an upload. */
  readonly source: ImportedFrom | null;
}

/** Files of a base model version, against which an imported adapter is checked. */
interface ImportBase {
  /** Folder of the base model version's files. */
  readonly path: string;
  /**
   * Content of the base model version's config.json, if its files lie in a hub, a bucket or an upload, from which
   * workers fetch them later; null if all files lie in the folder `path`.
   */
  readonly sourceConfig: unknown;
}

export interface ImportDependencies {
  readonly db: Database;
  readonly artifacts: ArtifactStore;
  readonly rooms: UploadRooms;
  readonly sources: AdapterSources;
  readonly inspector: AdapterInspector;
  readonly allowedRoots: readonly string[];
}

interface ImportTarget {
  /** Tenant that owns the imported adapter. */
  readonly owner: string;
  /** The tenant to which the caller is confined; null for the operator. */
  readonly scope: string | null;
  /** Base model of the adapter, with its serving profile: the features of adapters that its engines accept. */
  readonly model: { readonly name: string; readonly servingProfile: unknown };
  /** Files of the base model version on which the adapter was trained. */
  readonly base: ImportBase;
}

/**
 * Imports an adapter's files, and runs `insert` in the transaction that registers the files. If a step fails, neither
 * rows nor files remain.
 *
 * @param insert inserts the rows of the import, and charges its size to the tenant's quota
 * @throws AppError 403 `quota_exceeded`, 404 if the tenant is unknown, 413, 422 `invalid_adapter` or
 *   `invalid_base_model` that names file and tensor, 422 `adapter_not_servable`, an error of the source or of the
 *   inspector, and any error of `insert`
 */
export function importAdapter<T>(
  deps: ImportDependencies,
  given: GivenAdapter,
  target: ImportTarget,
  insert: (tx: Transaction, imported: ImportedAdapter, room: UploadRoom) => Promise<T>,
): Promise<T> {
  return withFiles(deps, given, target, (source, declaredBytes) =>
    deps.rooms.during(target.owner, declaredBytes, async (room) => {
      const imported = await storeFiles(deps, source, target, room);
      return withRegisteredArtifact(deps, imported.artifact, (tx) => insert(tx, imported, room));
    }),
  );
}

/**
 * Runs `work` with the source of an adapter's files and their declared size in bytes. The size is null for a folder,
 * and for an upload whose size was not announced.
 */
async function withFiles<T>(
  { db, sources }: ImportDependencies,
  given: GivenAdapter,
  { owner, scope }: ImportTarget,
  work: (source: AdapterSource, declaredBytes: number | null) => Promise<T>,
): Promise<T> {
  if ('path' in given) return work(given, null);
  if ('archive' in given) return work(given, given.archive.declaredBytes);
  const importer = { tenant: await createTenantService({ db }).get(owner, null), isOperator: scope === null };
  return sources.during(given.remote, importer, (found) => work({ found }, found.bytes));
}

/**
 * Copies an adapter's files to a temporary folder, checks every tensor against the base and then puts the files into
 * the artifact store. Nothing is stored if a check fails.
 */
function storeFiles(
  deps: ImportDependencies,
  source: AdapterSource,
  { owner, model, base }: ImportTarget,
  room: UploadRoom,
): Promise<ImportedAdapter> {
  return deps.artifacts.withScratch(async (scratch) => {
    const folder = join(scratch, 'adapter');
    await putFiles(source, folder, { room, allowedRoots: deps.allowedRoots });
    const baseFolder = base.sourceConfig === null ? base.path : await writeConfig(scratch, base.sourceConfig);
    const configOnly = base.sourceConfig !== null;
    const inspected = await withProblems(
      () => deps.inspector.inspectAdapter({ folder, baseFolder, configOnly }, owner),
      folder,
      baseFolder,
    );
    requireServable(model, inspected);
    const artifact = await deps.artifacts.putFolder(folder, 'adapter');
    return { artifact, inspected, source: 'found' in source ? toImportedFrom(source.found.source) : null };
  });
}

async function putFiles(
  source: AdapterSource,
  folder: string,
  { room, allowedRoots }: { room: UploadRoom; allowedRoots: readonly string[] },
): Promise<void> {
  if ('archive' in source) await unpackAdapter(room.measured(source.archive.chunks), folder);
  else if ('path' in source) await copyAdapterFiles(await resolveAllowedFolder(source.path, allowedRoots), folder);
  else {
    await mkdir(folder);
    // The size was known before the fetch, and its room is reserved.
    await source.found.fetchInto(folder);
  }
}

/**
 * Converts the pinned source of an imported version to the form that the version's row stores. The row does not tell
 * whether a token was used, because its readers need not know.
 */
function toImportedFrom(source: PinnedSource): ImportedFrom {
  if (source.kind === 'upload') throw new Error('an upload holds a base model, not an adapter');
  if (source.kind === 's3') {
    const { kind, bucket, prefix } = source;
    return { kind, repo: null, revision: null, commit: null, bucket, prefix };
  }
  const { kind, repo, revision, commit } = source;
  return { kind, repo, revision, commit, bucket: null, prefix: null };
}

/**
 * Refuses an adapter that the engines of its base model cannot serve according to the base model's serving profile.
 * @throws AppError 422 `adapter_not_servable`
 */
function requireServable({ name, servingProfile }: ImportTarget['model'], { features }: InspectedAdapter): void {
  const refusal = servingRefusal(servingProfile as ServingProfile | null, features);
  if (refusal === null) return;
  const { message, ...details } = refusal;
  const where = `by the serving profile of base model ${name}`;
  throw unprocessable('adapter_not_servable', `${message} (\`${refusal.feature}\`, ${where})`, details);
}

async function writeConfig(scratch: string, config: unknown): Promise<string> {
  const folder = join(scratch, 'base');
  await mkdir(folder);
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  return folder;
}

async function withProblems<T>(inspect: () => Promise<T>, folder: string, baseFolder: string): Promise<T> {
  try {
    return await inspect();
  } catch (error) {
    if (!isFormatError(error)) throw error;
    throw toProblem(error, folder, baseFolder);
  }
}

/**
 * Error that a reader of file formats throws. The service recognises such an error by its fields, because it does not
 * import the error classes of the readers.
 */
interface FormatErrorLike extends Error {
  readonly code: string;
  readonly file: string;
  readonly subject?: string | undefined;
}

function isFormatError(error: unknown): error is FormatErrorLike {
  return error instanceof Error && 'file' in error && typeof error.file === 'string' && 'code' in error;
}

/**
 * Translates a format error into a problem for clients. The message says "the adapter" and "the base model" in place of
 * the paths of folders on this machine.
 */
function toProblem(error: FormatErrorLike, folder: string, baseFolder: string): AppError {
  const inAdapter = isAdapterFile(error.file);
  const shown = (text: string) => text.replaceAll(folder, 'the adapter').replaceAll(baseFolder, 'the base model');
  return unprocessable(inAdapter ? 'invalid_adapter' : 'invalid_base_model', shown(error.message), {
    file: shown(error.file),
    tensor: error.subject ?? null,
    reason: error.code,
  });
}
