import { explainMissing, type ArtifactStore } from '../../../platform/artifacts/index.ts';
import {
  checkListing,
  fileOfContent,
  isTaken,
  MAX_FILES,
  partDigests,
  PartGoneError,
  readParts,
  SourceError,
  type UploadedFile,
} from '../../../platform/base-sources/index.ts';
import type { Lease } from '../../../lib/claim-loop.ts';
import type { Database } from '../../../platform/database/database.ts';
import { UPLOAD_VERIFICATION } from '../../../platform/queue/index.ts';
import { AppError, unprocessable } from '../../../platform/contract/errors.ts';
import { checkShards, INDEX } from './check-shards.ts';
import { readContents, WrongContentError } from './read-contents.ts';
import {
  verificationRepository as repository,
  type ClaimedUpload,
  type FileProgress,
  type FileToVerify,
  type VerificationOutcome,
} from './verification.repository.ts';

export interface VerifyOptions {
  readonly db: Database;
  readonly artifacts: ArtifactStore;
  /** Number of days after which a verified upload is removed if no base model version uses it. */
  readonly days: number;
}

export interface Turn {
  readonly lease: Lease;
  /** Signal that aborts when the lease on the upload is lost or the process stops. */
  readonly signal: AbortSignal;
  readonly onProgress: (progress: FileProgress) => void;
}

/**
 * Verifies an upload that this process has claimed, file by file, and stores the outcome. Skips files that an earlier
 * attempt has verified.
 * @throws the reason of the aborted signal; an error of the artifact store or the database, after which the
 *   verification may be tried again
 */
export async function verifyUpload(options: VerifyOptions, claimed: ClaimedUpload, turn: Turn): Promise<void> {
  const { db, days } = options;
  const outcome = await verify(options, claimed, turn).catch((error: unknown) => toOutcome(claimed.id, error));
  turn.signal.throwIfAborted();
  if (outcome !== null) await repository.finish(db, { ...turn, id: claimed.id }, outcome, days);
}

/** Verifies the files of an upload. @returns the outcome; null if the lease on the upload is lost */
async function verify(options: VerifyOptions, claimed: ClaimedUpload, turn: Turn): Promise<VerificationOutcome | null> {
  const { db } = options;
  const { id } = claimed;
  if (claimed.attempts > UPLOAD_VERIFICATION.attempts) return givenUp(id);
  const contents: UploadedFile[] = [];
  let index: Place | undefined;
  const files = await repository.files(db, id);
  for (const file of files) {
    const found =
      file.contents ?? (await verifyFile(options, claimed, { ...file, most: MAX_FILES - contents.length }, turn));
    if (file.contents === null && !(await repository.keep(db, { ...turn, id }, file, found))) return null;
    contents.push(...found);
    const entry = found.find(({ name }) => name === INDEX);
    if (entry !== undefined) index = { sent: file, entry };
  }
  checkContents(id, contents);
  await checkShards(contents, () => readEntry(options, claimed, index!, turn.signal));
  const data = { bytes: files.reduce((sum, { size }) => sum + size, 0), files: files.length };
  const event = { tenantId: null, type: 'base_model_upload.completed' as const, subjectId: id, data };
  return { state: 'complete', error: null, event };
}

/** Model file, with the uploaded file that contains it. */
interface Place {
  readonly sent: FileToVerify;
  readonly entry: UploadedFile;
}

async function* readEntry(
  { db, artifacts }: VerifyOptions,
  { id, partBytes }: ClaimedUpload,
  { sent: { name, size }, entry: { offset, size: bytes } }: Place,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const digests = await partDigests(db, id, name);
  try {
    yield* readParts(artifacts, { size, partBytes, digests }, { from: offset, to: offset + bytes, signal });
  } catch (error) {
    throw error instanceof PartGoneError ? await lostPart(db, artifacts, name, error) : error;
  }
}

async function verifyFile(
  { db, artifacts }: VerifyOptions,
  { id, partBytes }: ClaimedUpload,
  file: FileToVerify & { most: number },
  { signal, onProgress }: Turn,
): Promise<UploadedFile[]> {
  const { name, size } = file;
  const digests = await partDigests(db, id, name);
  const range = { from: 0, to: size, signal, verify: true };
  async function* counted(): AsyncGenerator<Uint8Array> {
    let bytes = 0;
    for await (const chunk of readParts(artifacts, { size, partBytes, digests }, range)) {
      bytes += chunk.length;
      onProgress({ name, bytes });
      yield chunk;
    }
  }
  try {
    return await readContents(file, counted(), file.most);
  } catch (error) {
    throw error instanceof PartGoneError ? await lostPart(db, artifacts, name, error) : error;
  }
}

/** Error for a part that has got lost or damaged in the artifact store. The client must send the part again. */
class LostPartError extends Error {
  constructor(
    readonly file: string,
    readonly number: number,
    readonly code: 'artifact_missing' | 'artifact_corrupt',
  ) {
    const what = code === 'artifact_missing' ? 'gone from the artifact store' : 'damaged in the artifact store';
    super(`part ${number} of ${file} is ${what}: send it again`);
    this.name = 'LostPartError';
  }
}

/**
 * Finds out why a part could not be read. Returns a {@link LostPartError} if the part itself is missing or damaged, and
 * otherwise the error of the artifact store.
 */
async function lostPart(
  db: Database,
  artifacts: ArtifactStore,
  file: string,
  { number, digest, cause }: PartGoneError,
): Promise<unknown> {
  try {
    return await explainMissing({ db, store: artifacts, digest }, async () => {
      if (cause instanceof AppError) throw cause;
      // Reads the part once more, because the connection may have been at fault.
      await artifacts.verify(digest);
      throw cause as Error;
    });
  } catch (error) {
    if (codeOf(error) === 'artifact_missing') return new LostPartError(file, number, 'artifact_missing');
    if (codeOf(error) !== 'artifact_corrupt') return error;
    // Moves the damaged part away; otherwise the store would keep it when the client sends the part again.
    await artifacts.quarantine(digest);
    return new LostPartError(file, number, 'artifact_corrupt');
  }
}

const codeOf = (error: unknown): string | null => (error instanceof AppError ? error.code : null);

/**
 * Checks that the model files of an upload together make a base model, and that no name occurs twice.
 * @throws AppError 422 `source_refused`; SourceError
 */
function checkContents(id: string, contents: readonly UploadedFile[]): void {
  const names = contents.map(({ name }) => name);
  const seen = new Set<string>();
  // Repeated pickles do not matter, because nothing reads them.
  const twice = names.filter(isTaken).find((name) => seen.size === seen.add(name).size);
  if (twice !== undefined) {
    throw unprocessable('source_refused', `${twice} is there twice: in two archives, or in one and beside it`);
  }
  checkListing({ kind: 'upload', id }, contents.map(fileOfContent), names);
}

function givenUp(id: string): VerificationOutcome {
  const { attempts } = UPLOAD_VERIFICATION;
  const message =
    `the files could not be verified in ${attempts} attempts, which the log of the API explains: have them ` +
    'verified again when that is mended';
  const error = { code: 'verification_interrupted', message };
  const event = { tenantId: null, subjectId: id, type: 'base_model_upload.reopened' as const, data: { error } };
  return { state: 'open', error, event };
}

/**
 * Turns an error of a verification into the outcome of the verification: the upload is open again, so that the client
 * can send parts once more, or it has failed.
 * @throws the given error if the uploaded files are not its cause
 */
function toOutcome(id: string, error: unknown): VerificationOutcome {
  const about = { tenantId: null, subjectId: id };
  if (error instanceof WrongContentError || error instanceof LostPartError) {
    const code = error instanceof WrongContentError ? 'digest_mismatch' : error.code;
    const problem = { code, message: error.message };
    const forget = { file: error.file, ...(error instanceof LostPartError && { number: error.number }) };
    const event = { ...about, type: 'base_model_upload.reopened' as const, data: { error: problem } };
    return { state: 'open', error: problem, event, forget };
  }
  const isRefused = error instanceof SourceError || (error instanceof AppError && error.status === 422);
  if (!isRefused) throw error;
  const problem = { code: error.code, message: error.message };
  const event = { ...about, type: 'base_model_upload.failed' as const, data: { error: problem } };
  return { state: 'failed', error: problem, event };
}
