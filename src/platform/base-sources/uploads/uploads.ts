import { explainMissing, type ArtifactStore } from '../../artifacts/index.ts';
import type { Queryable } from '../../database/database.ts';
import { AppError } from '../../contract/errors.ts';
import { checkListing } from '../listing.ts';
import { SourceError } from '../source-error.ts';
import { fileOfContent, sourceText, type PinnedFiles, type SourceFile, type UploadSource } from '../source.ts';
import { PartGoneError, readParts } from './parts.ts';
import { uploadsRepository as repository } from './uploads.repository.ts';

/** Reader for uploads of base models, whose parts are artifacts. */
export interface Uploads {
  /** Lists the files of a complete upload. @throws SourceError */
  pin(source: UploadSource): Promise<PinnedFiles>;
  /** Reads the bytes of a file from an offset on. @throws SourceError, also while bytes are read */
  read(
    source: UploadSource,
    file: SourceFile,
    request: { from: number; signal: AbortSignal },
  ): AsyncGenerator<Uint8Array>;
}

export function createUploads({ db, artifacts }: { db: Queryable; artifacts: ArtifactStore }): Uploads {
  return {
    async pin(source) {
      const contents = await repository.contents(db, source.id);
      if (contents === null) throw notThere(source);
      const files = contents.map(fileOfContent);
      const names = files.map(({ name }) => name);
      return { source, files: checkListing(source, files, names) };
    },

    async *read(source, { name, size }, { from, signal }) {
      const sent = await repository.place(db, source.id, name);
      if (sent === null) throw notThere(source);
      const { offset } = sent;
      try {
        yield* readParts(artifacts, sent, { from: offset + from, to: offset + size, signal });
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof PartGoneError)) throw error;
        const what = `part ${error.number} of what has ${name} of ${sourceText(source)}`;
        throw await toSourceError({ db, artifacts, what }, error);
      }
    },
  };
}

function notThere(source: UploadSource): SourceError {
  const message = `there is no ${sourceText(source)} that is complete: complete it, or upload the files again`;
  return new SourceError('source_not_found', message);
}

/**
 * Advice in the error about a lost part. Parts are named by their content, so a new upload with the same parts repairs
 * all uploads that have them.
 */
export const PART_ADVICE =
  'restore it from a backup, or send the same files again with `readapt base-versions upload --again`';

/**
 * Makes the source error for a part that cannot be read, after finding out whether the whole store is away or has only
 * lost this part.
 */
async function toSourceError(
  { db, artifacts, what }: { db: Queryable; artifacts: ArtifactStore; what: string },
  { cause, digest }: PartGoneError,
): Promise<SourceError> {
  const error = await explainMissing({ db, store: artifacts, digest }, () => Promise.reject(cause as Error)).catch(
    (explained: unknown) => explained as Error,
  );
  const options = { cause: error };
  if (error instanceof AppError && error.code === 'artifact_missing') {
    const message = `${what} is gone from the artifact store (${digest}): ${PART_ADVICE}`;
    return new SourceError('source_not_found', message, options);
  }
  const message = `${what} could not be read from the artifact store (${error.message})`;
  return new SourceError('source_unreachable', message, options);
}
