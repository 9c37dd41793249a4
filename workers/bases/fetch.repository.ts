import type { PinnedSource, SourceFile } from '../../src/platform/base-sources/index.ts';
import { withTransaction, type Database, type Prisma } from '../../src/platform/database/database.ts';
import { recordEvent, type NewEvent } from '../../src/delivery/events/index.ts';

/** Source of a base model version with its files and its token, as the database stores them for a fetch. */
export interface BaseSourceRow {
  readonly source: PinnedSource;
  readonly files: readonly SourceFile[];
  /** Encrypted access token for the source; null if the source needs none. */
  readonly sealedToken: string | null;
}

type FetchEvent = Extract<NewEvent, { type: `base_model_version.${'fetching' | 'fetched' | 'not_fetched'}` }>;

export const fetchRepository = {
  /** Reads the source of a base model version; null if its files are in a folder and need no fetch. */
  async source(db: Database, id: string): Promise<BaseSourceRow | null> {
    const row = await db.baseModelVersion.findUnique({
      where: { id },
      select: { source: true, sourceFiles: true, sourceToken: true },
    });
    if (row === null || row.source === null) return null;
    return {
      source: row.source as unknown as PinnedSource,
      files: row.sourceFiles as unknown as SourceFile[],
      sealedToken: row.sourceToken?.sealed ?? null,
    };
  },

  /**
   * Reads the files of a base model version with the hashes known so far, and its fingerprint, which is null until the
   * version is verified.
   */
  async known(db: Database, id: string): Promise<{ files: readonly SourceFile[]; fingerprint: string | null }> {
    const select = { sourceFiles: true, fingerprint: true };
    const { sourceFiles, fingerprint } = await db.baseModelVersion.findUniqueOrThrow({ where: { id }, select });
    return { files: sourceFiles as unknown as SourceFile[], fingerprint };
  },

  /**
   * Stores the SHA-256 of files whose source gives none, so that every later fetch is compared with the first one.
   * @returns the files with the stored hashes, which are another worker's if that worker stored its hashes first
   */
  keepHashes: (db: Database, id: string, hashes: ReadonlyMap<string, string>): Promise<readonly SourceFile[]> =>
    withTransaction(db, async (tx) => {
      await tx.$executeRaw`SELECT 1 FROM base_model_versions WHERE id = ${id} FOR NO KEY UPDATE`;
      const row = await tx.baseModelVersion.findUniqueOrThrow({ where: { id }, select: { sourceFiles: true } });
      const files = row.sourceFiles as unknown as SourceFile[];
      const hashed = files.map((file) => ({ ...file, sha256: file.sha256 ?? hashes.get(file.name) ?? null }));
      const sourceFiles = hashed as unknown as Prisma.InputJsonArray;
      await tx.baseModelVersion.update({ where: { id }, data: { sourceFiles } });
      return hashed;
    }),

  record: (db: Database, event: FetchEvent): Promise<void> => withTransaction(db, (tx) => recordEvent(tx, event)),
};
