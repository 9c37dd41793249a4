import { Prisma, type Database, type Queryable, type Transaction } from '../../../platform/database/database.ts';
import { recordEvent } from '../../../delivery/events/index.ts';

/** Choice of the rows to remove: those of all adapters whose collection has begun, or those of one tenant. */
type Owner = 'adapters' | { tenantId: string };

/**
 * Function that removes at most `limit` rows of one kind.
 * @returns the number of removed rows; fewer than the limit if no such rows are left
 */
export type Removal = (tx: Transaction, limit: number) => Promise<number>;

/** Makes the SQL condition for rows that were deleted longer ago than the grace time. */
function isDue(table: string, graceDays: number): Prisma.Sql {
  const column = Prisma.raw(`${table}.deleted_at`);
  return Prisma.sql`${column} <= clock_timestamp() - make_interval(days => ${graceDays}::int)`;
}

/**
 * SQL condition for adapters whose collection has begun, perhaps by a worker with a shorter grace time. It tests
 * `deleted_at` as well as `collection_began_at`, because only `deleted_at` has an index.
 */
const BEGUN = Prisma.sql`a.deleted_at IS NOT NULL AND a.collection_began_at IS NOT NULL`;

function jobsOf(owner: Owner): Prisma.Sql {
  if (owner !== 'adapters') return Prisma.sql`j.tenant_id = ${owner.tenantId}`;
  return Prisma.sql`j.adapter_id IN (SELECT a.id FROM adapters a WHERE ${BEGUN})`;
}

/**
 * Tables of a tenant in the order in which their rows can be removed: a table comes before those that its rows refer
 * to.
 */
const IN_ORDER = ['metric_points', 'search_evaluations', 'jobs', 'adapter_versions', 'adapters', 'datasets'];

/**
 * SQL clause that locks the rows to be removed, and passes over those that are locked already, because a request may be
 * undeleting them. PostgreSQL reads a row again once it is locked.
 */
const UNLESS_LOCKED = Prisma.sql`FOR UPDATE SKIP LOCKED`;

export const collectionRepository = {
  /** Finds adapters and tenants that are deleted and still have unfinished jobs. */
  async withUnfinishedJobs(db: Database, limit: number): Promise<{ adapterIds: string[]; tenantIds: string[] }> {
    const adapters = await db.$queryRaw<{ id: string }[]>`
      SELECT a.id FROM adapters a WHERE a.deleted_at IS NOT NULL
        AND EXISTS (SELECT 1 FROM jobs j WHERE j.adapter_id = a.id AND j.finished_at IS NULL) LIMIT ${limit}`;
    const tenants = await db.$queryRaw<{ id: string }[]>`
      SELECT t.id FROM tenants t WHERE t.deleted_at IS NOT NULL
        AND EXISTS (SELECT 1 FROM jobs j WHERE j.tenant_id = t.id AND j.finished_at IS NULL) LIMIT ${limit}`;
    return { adapterIds: adapters.map(({ id }) => id), tenantIds: tenants.map(({ id }) => id) };
  },

  /**
   * Removes adapter versions that were deleted longer ago than the grace time, with their gate outcomes. Versions that
   * a job still carries over, or that are current, stay.
   */
  versions: (tx: Transaction, limit: number, graceDays: number): Promise<number> =>
    tx.$executeRaw`
      DELETE FROM adapter_versions WHERE id IN (
        SELECT v.id FROM adapter_versions v WHERE ${isDue('v', graceDays)}
          AND NOT EXISTS (
            SELECT 1 FROM jobs j WHERE j.source_version_id = v.id AND (j.finished_at IS NULL OR j.baselines_pending))
          AND NOT EXISTS (SELECT 1 FROM current_versions c WHERE c.adapter_version_id = v.id)
        LIMIT ${limit} ${UNLESS_LOCKED})`,

  /** Removes datasets that were deleted longer ago than the grace time and that no adapter uses. */
  datasets: (tx: Transaction, limit: number, graceDays: number): Promise<number> =>
    tx.$executeRaw`
      DELETE FROM datasets WHERE id IN (
        SELECT d.id FROM datasets d WHERE ${isDue('d', graceDays)}
          AND NOT EXISTS (SELECT 1 FROM adapters a WHERE a.dataset_id = d.id AND a.deleted_at IS NULL)
        LIMIT ${limit} ${UNLESS_LOCKED})`,

  /**
   * Marks adapters that were deleted longer ago than the grace time as adapters whose collection has begun. They can no
   * longer be undeleted.
   */
  beginAdapters: (tx: Transaction, limit: number, graceDays: number): Promise<number> =>
    tx.$executeRaw`
      UPDATE adapters SET collection_began_at = clock_timestamp() WHERE id IN (
        SELECT a.id FROM adapters a WHERE ${isDue('a', graceDays)} AND a.collection_began_at IS NULL
        LIMIT ${limit} ${UNLESS_LOCKED})`,

  /**
   * Marks the collection of a deleted tenant as begun.
   * @returns false if the tenant is no longer to be collected, or if a request is undeleting it
   */
  async beginTenant(tx: Transaction, id: string, graceDays: number): Promise<boolean> {
    const count = await tx.$executeRaw`
      UPDATE tenants SET collection_began_at = COALESCE(collection_began_at, clock_timestamp()) WHERE id IN (
        SELECT t.id FROM tenants t WHERE t.id = ${id} AND (${isDue('t', graceDays)}
          OR t.collection_began_at IS NOT NULL)
        ${UNLESS_LOCKED})`;
    return count === 1;
  },

  metricPoints: (tx: Transaction, limit: number, owner: Owner): Promise<number> =>
    tx.$executeRaw`
      DELETE FROM metric_points WHERE id IN (
        SELECT p.id FROM jobs j JOIN metric_points p ON p.job_id = j.id WHERE ${jobsOf(owner)} LIMIT ${limit})`,

  searchEvaluations: (tx: Transaction, limit: number, owner: Owner): Promise<number> =>
    tx.$executeRaw`
      DELETE FROM search_evaluations WHERE (job_id, index) IN (
        SELECT e.job_id, e.index FROM jobs j JOIN search_evaluations e ON e.job_id = j.id
        WHERE ${jobsOf(owner)} LIMIT ${limit})`,

  /** Removes jobs that have ended, either of adapters whose collection has begun or of one tenant. */
  jobs: (tx: Transaction, limit: number, owner: Owner): Promise<number> =>
    tx.$executeRaw`
      DELETE FROM jobs WHERE id IN (
        SELECT j.id FROM jobs j WHERE ${jobsOf(owner)} AND j.finished_at IS NOT NULL LIMIT ${limit})`,

  /** Removes adapter versions whose adapters are being collected and from which no job starts. */
  versionsOfAdapters: (tx: Transaction, limit: number): Promise<number> =>
    tx.$executeRaw`
      DELETE FROM adapter_versions WHERE id IN (
        SELECT v.id FROM adapters a JOIN adapter_versions v ON v.adapter_id = a.id WHERE ${BEGUN}
          AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.source_version_id = v.id)
        LIMIT ${limit})`,

  /** Removes adapters whose collection has begun and that have no jobs and no versions left. */
  adapters: (tx: Transaction, limit: number): Promise<number> =>
    tx.$executeRaw`
      DELETE FROM adapters WHERE id IN (
        SELECT a.id FROM adapters a WHERE ${BEGUN}
          AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.adapter_id = a.id)
          AND NOT EXISTS (SELECT 1 FROM adapter_versions v WHERE v.adapter_id = a.id)
        LIMIT ${limit})`,

  /**
   * Lists tenants to be collected: those that were deleted longer ago than the grace time, and those whose collection
   * has begun.
   */
  dueTenants: async (db: Database, graceDays: number): Promise<string[]> =>
    (
      await db.$queryRaw<{ id: string }[]>`
        SELECT t.id FROM tenants t
        WHERE t.deleted_at IS NOT NULL AND (${isDue('t', graceDays)} OR t.collection_began_at IS NOT NULL)
        ORDER BY t.deleted_at LIMIT 100`
    ).map(({ id }) => id),

  /**
   * Creates the functions that remove all rows of a tenant, one for each table. The database is asked which tables have
   * a column `tenant_id`, so that a new table cannot be forgotten.
   */
  async ofTenant(db: Database, tenantId: string): Promise<Removal[]> {
    const owner = { tenantId };
    const byJob: Removal[] = [
      (tx, limit) => collectionRepository.metricPoints(tx, limit, owner),
      (tx, limit) => collectionRepository.searchEvaluations(tx, limit, owner),
      (tx, limit) => collectionRepository.jobs(tx, limit, owner),
    ];
    const found = await db.$queryRaw<{ name: string }[]>`
      SELECT c.relname::text AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
      WHERE a.attname = 'tenant_id' AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
        AND c.relnamespace = current_schema()::regnamespace
      ORDER BY c.relname`;
    const others = found.map(({ name }) => name).filter((name) => !IN_ORDER.includes(name));
    const byTenant = [...IN_ORDER.slice(3), ...others].map((table): Removal => (tx, limit) => {
      const name = Prisma.raw(`"${table}"`);
      return tx.$executeRaw`
            DELETE FROM ${name} WHERE ctid = ANY(ARRAY(
              SELECT ctid FROM ${name} WHERE tenant_id = ${tenantId} LIMIT ${limit}))`;
    });
    const answers: Removal = (tx, limit) =>
      tx.$executeRaw`
        DELETE FROM idempotency_records WHERE (principal, key) IN (
          SELECT principal, key FROM idempotency_records WHERE principal = ${tenantId} LIMIT ${limit})`;
    return [...byJob, ...byTenant, answers];
  },

  /**
   * Removes the row of a tenant, whose other rows have been removed before.
   * @returns false if a job of the tenant was planned meanwhile, which has to be cancelled first
   */
  async tenant(tx: Transaction, id: string): Promise<boolean> {
    const count = await tx.$executeRaw`
      DELETE FROM tenants WHERE id = ${id} AND NOT EXISTS (SELECT 1 FROM jobs WHERE tenant_id = ${id})`;
    if (count === 0) return false;
    await recordEvent(tx, { tenantId: null, type: 'tenant.collected', subjectId: id, data: {} });
    return true;
  },

  /**
   * Lists artifacts that were registered longer ago than the grace time and to which no row refers, ordered by digest.
   */
  async unreferenced(db: Database, query: { after: string; limit: number; graceMs: number }): Promise<string[]> {
    const rows = await db.$queryRaw<{ digest: string }[]>`
      SELECT a.digest FROM artifacts a WHERE a.digest > ${query.after} AND ${isUnreferenced(query.graceMs)}
      ORDER BY a.digest LIMIT ${query.limit}`;
    return rows.map(({ digest }) => digest);
  },

  /** Finds those of the given digests whose artifact a job has kept as its best candidate. */
  async keptCandidates(db: Database, digests: readonly string[]): Promise<Set<string>> {
    if (digests.length === 0) return new Set();
    const rows = await db.$queryRaw<{ digest: string }[]>`
      SELECT DISTINCT error ->> 'candidate_digest' AS digest FROM jobs
      WHERE error ->> 'candidate_digest' = ANY(${[...digests]}::text[])`;
    return new Set(rows.map(({ digest }) => digest));
  },

  /**
   * Removes the row of an artifact if no other row refers to the artifact and it was registered at least `graceMs`
   * milliseconds ago. The caller holds the artifact's lock. Whoever adds a reference registers the artifact again,
   * which sets the time of its registration to now.
   * @returns whether the row was removed
   */
  async removeUnreferenced(tx: Transaction, digest: string, graceMs: number): Promise<boolean> {
    const count =
      await tx.$executeRaw`DELETE FROM artifacts a WHERE a.digest = ${digest} AND ${isUnreferenced(graceMs)}`;
    return count === 1;
  },

  /**
   * Finds those of the given digests that belong to registered artifacts, that is, to artifacts with a row of their
   * own.
   */
  async registered(db: Queryable, digests: readonly string[]): Promise<Set<string>> {
    const rows = await db.artifact.findMany({ where: { digest: { in: [...digests] } }, select: { digest: true } });
    return new Set(rows.map(({ digest }) => digest));
  },
};

function isUnreferenced(graceMs: number): Prisma.Sql {
  return Prisma.sql`a.created_at <= clock_timestamp() - make_interval(secs => ${graceMs / 1000}::float8)
    AND NOT EXISTS (SELECT 1 FROM datasets d WHERE d.artifact_digest = a.digest)
    AND NOT EXISTS (SELECT 1 FROM adapter_versions v WHERE v.artifact_digest = a.digest)
    AND NOT EXISTS (SELECT 1 FROM evolutions e WHERE e.artifact_digest = a.digest)
    AND NOT EXISTS (SELECT 1 FROM base_model_upload_parts p WHERE p.artifact_digest = a.digest)`;
}
