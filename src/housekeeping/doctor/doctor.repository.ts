import type { Database } from '../../lib/database.ts';

/** An artifact that rows name. */
export interface NamedArtifact {
  digest: string;
  /** Null if the artifact has no row of its own. */
  bytes: bigint | null;
  /** By whom it is named. */
  kind: 'dataset' | 'adapter' | 'evolution';
}

/** A version that is current somewhere. */
export interface CurrentUse {
  adapter_id: string;
  base_model_version_id: string;
  adapter_version_id: string;
}

export const doctorRepository = {
  /** A page of what datasets, adapter versions and evolutions name, in the order of the digests. Each table is read by its index. */
  named: (db: Database, after: string, limit: number): Promise<NamedArtifact[]> =>
    db.$queryRaw<NamedArtifact[]>`
      SELECT n.digest, min(n.kind) AS kind, a.bytes FROM (
        (SELECT artifact_digest AS digest, 'dataset' AS kind FROM datasets
          WHERE artifact_digest > ${after} GROUP BY 1 ORDER BY 1 LIMIT ${limit})
        UNION ALL
        (SELECT artifact_digest, 'adapter' FROM adapter_versions
          WHERE artifact_digest > ${after} GROUP BY 1 ORDER BY 1 LIMIT ${limit})
        UNION ALL
        (SELECT artifact_digest, 'evolution' FROM evolutions
          WHERE artifact_digest > ${after} AND state = 'ready' GROUP BY 1 ORDER BY 1 LIMIT ${limit})
      ) AS n LEFT JOIN artifacts a ON a.digest = n.digest
      GROUP BY n.digest, a.bytes ORDER BY n.digest LIMIT ${limit}`,

  /** Where a version with these files is current. */
  currentWith: (db: Database, digest: string): Promise<CurrentUse[]> =>
    db.$queryRaw<CurrentUse[]>`
      SELECT c.adapter_id, c.base_model_version_id, c.adapter_version_id
      FROM adapter_versions v JOIN current_versions c ON c.adapter_version_id = v.id
      WHERE v.artifact_digest = ${digest} ORDER BY c.adapter_id, c.base_model_version_id`,

  /** The rows that name an artifact, as a reader of the report knows them; the first ones of many. */
  users: async (db: Database, digest: string): Promise<string[]> => {
    const rows = await db.$queryRaw<{ id: string }[]>`
      (SELECT id FROM datasets WHERE artifact_digest = ${digest} ORDER BY id LIMIT 3)
      UNION ALL (SELECT id FROM adapter_versions WHERE artifact_digest = ${digest} ORDER BY id LIMIT 3)
      UNION ALL (SELECT id FROM evolutions WHERE artifact_digest = ${digest} ORDER BY id LIMIT 3)`;
    return rows.map(({ id }) => id);
  },

  evolutionsWith: (db: Database, digest: string): Promise<{ id: string }[]> =>
    db.evolution.findMany({ where: { artifactDigest: digest, state: 'ready' }, select: { id: true } }),

  /** The next rollout between the two versions computes it again. */
  forgetEvolution: async (db: Database, id: string, digest: string): Promise<void> => {
    await db.evolution.updateMany({
      where: { id, artifactDigest: digest, state: 'ready' },
      data: { state: 'pending', artifactDigest: null },
    });
  },

  bases: (db: Database): Promise<{ id: string; version: string; path: string }[]> =>
    db.baseModelVersion.findMany({ select: { id: true, version: true, path: true }, orderBy: { id: 'asc' } }),

  /** Jobs whose lease has run out longer ago than this. A worker's sweep takes them over within seconds. */
  staleLeases: (db: Database, olderThanMs: number): Promise<{ id: string; owner: string | null }[]> =>
    db.$queryRaw<{ id: string; owner: string | null }[]>`
      SELECT id, lease_owner AS owner FROM jobs
      WHERE finished_at IS NULL AND lease_expires_at <= statement_timestamp() - make_interval(secs => ${olderThanMs / 1000}::float8)
      ORDER BY id`,

  /** Jobs that should have been put into the queue longer ago than this. */
  staleOutbox: (db: Database, olderThanMs: number): Promise<{ job_id: string; queue: string }[]> =>
    db.$queryRaw<{ job_id: string; queue: string }[]>`
      SELECT job_id, queue FROM outbox
      WHERE created_at <= statement_timestamp() - make_interval(secs => ${olderThanMs / 1000}::float8)
      ORDER BY created_at, id`,
};
