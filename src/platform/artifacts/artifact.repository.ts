import { withTransaction, type Database, type Queryable, type Transaction } from '../database/database.ts';
import { AppError } from '../contract/errors.ts';
import type { ArtifactStore, StoredArtifact } from './artifact-store.ts';
import { MISSING_ARTIFACT, storageAway } from './storage-errors.ts';

/**
 * Writes the row of an artifact whose bytes are in the store, unless the row exists already. A concurrent {@link
 * discardUnreferenced} waits until the transaction has ended, so that it does not remove these bytes.
 *
 * @throws AppError 503 `artifact_vanished` if the bytes were discarded after the put, which happens when another
 * request with the same content fails at that moment. The request may be sent again.
 */
export async function registerArtifact(tx: Transaction, store: ArtifactStore, artifact: StoredArtifact): Promise<void> {
  await lockArtifact(tx, artifact.digest);
  if (!(await store.has(artifact.digest))) {
    throw new AppError({
      code: 'artifact_vanished',
      status: 503,
      message: `artifact ${artifact.digest} was discarded while it was being registered; send the request again`,
    });
  }
  const { digest, kind } = artifact;
  // The collector leaves recently registered artifacts alone, because the row that refers to them may still follow.
  await tx.$executeRaw`SELECT readapt_register_artifact(${digest}, ${kind}, ${BigInt(artifact.bytes)}::bigint)`;
}

/**
 * Reads the size of a registered artifact in bytes; null if the artifact is not registered. A database function reads
 * the size, because requests of tenants may not read the table of artifacts, which has the digests of all tenants.
 */
export async function registeredBytes(tx: Transaction, digest: string): Promise<bigint | null> {
  const [row] = await tx.$queryRaw<{ bytes: bigint | null }[]>`SELECT readapt_artifact_bytes(${digest}) AS bytes`;
  return row?.bytes ?? null;
}

/**
 * Number of artifacts on each side of a missing one, or from each end of the database's list of digests, that are
 * looked for in the store. These artifacts tell a store that has lost one artifact from a store that is away.
 */
const LOOKED_FOR = 8;

/**
 * Finds the path of an artifact that a row names. If the artifact is missing, other artifacts that the database names
 * are looked for in the store. If the store has none of them, the whole store is away, for example because its file
 * system is not mounted. If it has some of them, only the missing artifact is lost.
 * @throws AppError 503 `storage_away` or 500 `artifact_missing`; the system's error if the store cannot be used at all
 */
export function locateArtifact(db: Queryable, store: ArtifactStore, digest: string): Promise<string> {
  return explainMissing({ db, store, digest }, () => store.localPath(digest));
}

/**
 * Runs `work`, which needs an artifact. If the artifact is missing, finds out whether only this one is gone or the
 * whole store is away.
 * @throws AppError as {@link locateArtifact}
 */
export async function explainMissing<T>(
  { db, store, digest }: { db: Queryable; store: ArtifactStore; digest: string },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== MISSING_ARTIFACT) throw error;
    await store.checkWritable();
    if (await lacksOthers(db, store, digest)) throw storageAway(error);
    throw error;
  }
}

/**
 * Selects those of the given digests that the database names, either in the row of an artifact or in the row of a
 * dataset or another object that owns one.
 */
export async function namedAmong(db: Queryable, digests: readonly string[]): Promise<Set<string>> {
  const rows = await db.$queryRaw<{ digest: string }[]>`
    SELECT d.digest FROM unnest(${[...digests]}::text[]) AS d (digest)
    WHERE EXISTS (SELECT FROM artifacts a WHERE a.digest = d.digest)
      OR EXISTS (SELECT FROM datasets s WHERE s.artifact_digest = d.digest)
      OR EXISTS (SELECT FROM adapter_versions v WHERE v.artifact_digest = d.digest)
      OR EXISTS (SELECT FROM evolutions e WHERE e.artifact_digest = d.digest)
      OR EXISTS (SELECT FROM base_model_upload_parts p WHERE p.artifact_digest = d.digest)`;
  return new Set(rows.map(({ digest }) => digest));
}

/** Reads the first and the last digests of the artifacts in the database, as a sample to be looked for in the store. */
export async function sampleDigests(db: Queryable): Promise<string[]> {
  const ends = (order: 'asc' | 'desc') => db.artifact.findMany({ orderBy: { digest: order }, take: LOOKED_FOR });
  return [...(await ends('asc')), ...(await ends('desc'))].map(({ digest }) => digest);
}

/**
 * Finds the path of an artifact and checks its content against its digest. Reading all of the content takes about a
 * second per gigabyte.
 * @throws AppError 500 `artifact_corrupt`, and as {@link locateArtifact}
 */
export function locateVerified(db: Queryable, store: ArtifactStore, digest: string): Promise<string> {
  return explainMissing({ db, store, digest }, () => store.localPath(digest, { verify: true }));
}

async function lacksOthers(db: Queryable, store: ArtifactStore, digest: string): Promise<boolean> {
  const others = (side: 'gt' | 'lt', order: 'asc' | 'desc') =>
    db.artifact.findMany({ where: { digest: { [side]: digest } }, orderBy: { digest: order }, take: LOOKED_FOR });
  const found = [...(await others('gt', 'asc')), ...(await others('lt', 'desc'))];
  const present = await Promise.all(found.map((other) => store.has(other.digest)));
  return found.length > 0 && !present.includes(true);
}

/**
 * Removes stored bytes that no row names, after the transaction that should have written the row has failed.
 * @returns whether the bytes were removed
 */
export async function discardUnreferenced(db: Database, store: ArtifactStore, digest: string): Promise<boolean> {
  // The removal asks for the ownership inside a transaction that may hold the only connection, so cache it beforehand.
  await store.ownership.problem();
  return withTransaction(db, async (tx) => {
    await lockArtifact(tx, digest);
    if ((await tx.artifact.count({ where: { digest } })) > 0) return false;
    await store.remove(digest);
    return true;
  });
}

/** Locks a digest until the transaction ends: other processes wait before they register or discard the same content. */
export async function lockArtifact(tx: Transaction, digest: string): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${digest}, 7083))`;
}
