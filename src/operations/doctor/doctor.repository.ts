import type { Database, Transaction } from '../../platform/database/database.ts';

/** Artifact to which rows of the database refer. */
export interface NamedArtifact {
  digest: string;
  /** Size in bytes according to the artifact's row in the table of artifacts; null if it has no row there. */
  bytes: bigint | null;
  /** Kind of the rows that refer to the artifact. */
  kind: 'dataset' | 'adapter' | 'evolution' | 'base_part';
}

/** Adapter version, with the base model version on which it is current. */
export interface VersionWith {
  id: string;
  tenant_id: string;
  adapter_id: string;
  number: number;
  origin: 'imported' | 'adapted';
  /** Identifier of the base model version on which the adapter version is current; null if it is current on none. */
  current_on: string | null;
}

/** Part of an upload of a base model. */
export interface UploadPart {
  upload_id: string;
  file_name: string;
  number: number;
  state: string;
}

export const doctorRepository = {
  /**
   * Lists a page of the artifacts to which datasets, adapter versions, evolutions and uploads of base models refer,
   * ordered by digest. Deleted rows do not count. Each table is read by its index.
   */
  named: (db: Database, after: string, limit: number): Promise<NamedArtifact[]> =>
    db.$queryRaw<NamedArtifact[]>`
      SELECT n.digest, min(n.kind) AS kind, a.bytes FROM (
        (SELECT artifact_digest AS digest, 'dataset' AS kind FROM datasets
          WHERE artifact_digest > ${after} AND deleted_at IS NULL GROUP BY 1 ORDER BY 1 LIMIT ${limit})
        UNION ALL
        (SELECT artifact_digest, 'adapter' FROM adapter_versions
          WHERE artifact_digest > ${after} AND deleted_at IS NULL GROUP BY 1 ORDER BY 1 LIMIT ${limit})
        UNION ALL
        (SELECT artifact_digest, 'evolution' FROM evolutions
          WHERE artifact_digest > ${after} AND state = 'ready' GROUP BY 1 ORDER BY 1 LIMIT ${limit})
        UNION ALL
        (SELECT artifact_digest, 'base_part' FROM base_model_upload_parts
          WHERE artifact_digest > ${after} GROUP BY 1 ORDER BY 1 LIMIT ${limit})
      ) AS n LEFT JOIN artifacts a ON a.digest = n.digest
      GROUP BY n.digest, a.bytes ORDER BY n.digest LIMIT ${limit}`,

  /** Finds the adapter versions whose files are the artifact with this digest. */
  versionsWith: (db: Database, digest: string): Promise<VersionWith[]> =>
    db.$queryRaw<VersionWith[]>`
      SELECT v.id, v.tenant_id, v.adapter_id, v.number, v.origin, c.base_model_version_id AS current_on
      FROM adapter_versions v LEFT JOIN current_versions c ON c.adapter_version_id = v.id
      WHERE v.artifact_digest = ${digest} AND v.deleted_at IS NULL ORDER BY v.id`,

  /**
   * Marks an adapter version as deleted, so that a rollout can make it again.
   * @returns false if nothing was marked, because the version was imported, is deleted already, or is current
   */
  setAside: async (tx: Transaction, id: string): Promise<boolean> => {
    const count = await tx.$executeRaw`
      UPDATE adapter_versions v SET deleted_at = clock_timestamp()
      WHERE v.id = ${id} AND v.origin = 'adapted' AND v.deleted_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM current_versions c WHERE c.adapter_version_id = v.id)`;
    return count === 1;
  },

  datasetsWith: (db: Database, digest: string): Promise<{ id: string; tenantId: string; name: string }[]> =>
    db.dataset.findMany({
      where: { artifactDigest: digest, deletedAt: null },
      select: { id: true, tenantId: true, name: true },
    }),

  evolutionsWith: (db: Database, digest: string): Promise<{ id: string }[]> =>
    db.evolution.findMany({ where: { artifactDigest: digest, state: 'ready' }, select: { id: true } }),

  /** Finds the parts of uploads whose content has this digest, with the states of their uploads. */
  uploadPartsWith: (db: Database, digest: string): Promise<UploadPart[]> =>
    db.$queryRaw<UploadPart[]>`
      SELECT p.upload_id, p.file_name, p.number, u.state
      FROM base_model_upload_parts p JOIN base_model_uploads u ON u.id = p.upload_id
      WHERE p.artifact_digest = ${digest} ORDER BY p.upload_id, p.file_name, p.number`,

  /**
   * Removes the row of a part whose content is missing from an upload that is still open, so that the client sends the
   * part again.
   */
  forgetUploadPart: async (db: Database, digest: string, { upload_id: id, file_name: file, number }: UploadPart) => {
    await db.$executeRaw`
      DELETE FROM base_model_upload_parts p USING base_model_uploads u
      WHERE u.id = p.upload_id AND u.state = 'open' AND p.upload_id = ${id} AND p.file_name = ${file}
        AND p.number = ${number}
        AND p.artifact_digest = ${digest}`;
  },

  /** Marks an evolution as not computed. The next rollout between its two base model versions computes it again. */
  forgetEvolution: async (db: Database, id: string, digest: string): Promise<void> => {
    await db.evolution.updateMany({
      where: { id, artifactDigest: digest, state: 'ready' },
      data: { state: 'pending', artifactDigest: null },
    });
  },

  /**
   * Lists the base model versions whose files lie in a folder of the machine. Workers download the files of all others.
   */
  bases: (db: Database): Promise<{ id: string; version: string; path: string }[]> =>
    db.baseModelVersion.findMany({
      where: { sourceKey: null },
      select: { id: true, version: true, path: true },
      orderBy: { id: 'asc' },
    }),

  /**
   * Finds unfinished jobs whose lease expired more than `olderThanMs` milliseconds ago. Normally a running worker takes
   * such a job over within seconds.
   */
  staleLeases: (db: Database, olderThanMs: number): Promise<{ id: string; owner: string | null }[]> =>
    db.$queryRaw<{ id: string; owner: string | null }[]>`
      SELECT id, lease_owner AS owner FROM jobs
      WHERE finished_at IS NULL
        AND lease_expires_at <= statement_timestamp() - make_interval(secs => ${olderThanMs / 1000}::float8)
      ORDER BY id`,

  /** Finds jobs that have waited for more than `olderThanMs` milliseconds to be added to the queue. */
  staleOutbox: (db: Database, olderThanMs: number): Promise<{ job_id: string; queue: string }[]> =>
    db.$queryRaw<{ job_id: string; queue: string }[]>`
      SELECT job_id, queue FROM outbox
      WHERE created_at <= statement_timestamp() - make_interval(secs => ${olderThanMs / 1000}::float8)
      ORDER BY created_at, id`,
};
