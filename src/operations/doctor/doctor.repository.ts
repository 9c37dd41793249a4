import type { Database, Transaction } from '../../platform/database/database.ts';

/** Artifact that rows refer to. */
export interface NamedArtifact {
  digest: string;
  /** Size according to the artifact's own row; null if it has none. */
  bytes: bigint | null;
  /** Kind of the row that refers to the artifact. */
  kind: 'dataset' | 'adapter' | 'evolution' | 'base_part';
}

/** Adapter version, and the base model version on which it is current. */
export interface VersionWith {
  id: string;
  tenant_id: string;
  adapter_id: string;
  number: number;
  origin: 'imported' | 'adapted';
  /** Null if the version is not current. */
  current_on: string | null;
}

/** A part of an upload of a base model. */
export interface UploadPart {
  upload_id: string;
  file_name: string;
  number: number;
  state: string;
}

export const doctorRepository = {
  /**
   * Lists a page of the artifacts of datasets, adapter versions, evolutions and base model uploads, ordered by digest
   * and without deleted rows. Each table is read by its index.
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

  /** Finds the versions whose files are this artifact. */
  versionsWith: (db: Database, digest: string): Promise<VersionWith[]> =>
    db.$queryRaw<VersionWith[]>`
      SELECT v.id, v.tenant_id, v.adapter_id, v.number, v.origin, c.base_model_version_id AS current_on
      FROM adapter_versions v LEFT JOIN current_versions c ON c.adapter_version_id = v.id
      WHERE v.artifact_digest = ${digest} AND v.deleted_at IS NULL ORDER BY v.id`,

  /**
   * Marks a version as deleted that a rollout can make again.
   * @returns false if the version was imported, deleted before, or is current
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

  /** Finds the upload parts with this content, and the states of their uploads. */
  uploadPartsWith: (db: Database, digest: string): Promise<UploadPart[]> =>
    db.$queryRaw<UploadPart[]>`
      SELECT p.upload_id, p.file_name, p.number, u.state
      FROM base_model_upload_parts p JOIN base_model_uploads u ON u.id = p.upload_id
      WHERE p.artifact_digest = ${digest} ORDER BY p.upload_id, p.file_name, p.number`,

  /** Removes the row of a missing part of an open upload, so that the client sends the part again. */
  forgetUploadPart: async (db: Database, digest: string, { upload_id: id, file_name: file, number }: UploadPart) => {
    await db.$executeRaw`
      DELETE FROM base_model_upload_parts p USING base_model_uploads u
      WHERE u.id = p.upload_id AND u.state = 'open' AND p.upload_id = ${id} AND p.file_name = ${file}
        AND p.number = ${number}
        AND p.artifact_digest = ${digest}`;
  },

  /** Marks an evolution as not computed. The next rollout between the two versions computes it again. */
  forgetEvolution: async (db: Database, id: string, digest: string): Promise<void> => {
    await db.evolution.updateMany({
      where: { id, artifactDigest: digest, state: 'ready' },
      data: { state: 'pending', artifactDigest: null },
    });
  },

  /** Lists the base model versions whose files are in a folder. Workers download all others themselves. */
  bases: (db: Database): Promise<{ id: string; version: string; path: string }[]> =>
    db.baseModelVersion.findMany({
      where: { sourceKey: null },
      select: { id: true, version: true, path: true },
      orderBy: { id: 'asc' },
    }),

  /**
   * Finds jobs whose lease expired more than `olderThanMs` ago. Normally a worker's sweep takes such jobs over within
   * seconds.
   */
  staleLeases: (db: Database, olderThanMs: number): Promise<{ id: string; owner: string | null }[]> =>
    db.$queryRaw<{ id: string; owner: string | null }[]>`
      SELECT id, lease_owner AS owner FROM jobs
      WHERE finished_at IS NULL
        AND lease_expires_at <= statement_timestamp() - make_interval(secs => ${olderThanMs / 1000}::float8)
      ORDER BY id`,

  /** Finds jobs that should have been added to the queue more than `olderThanMs` ago. */
  staleOutbox: (db: Database, olderThanMs: number): Promise<{ job_id: string; queue: string }[]> =>
    db.$queryRaw<{ job_id: string; queue: string }[]>`
      SELECT job_id, queue FROM outbox
      WHERE created_at <= statement_timestamp() - make_interval(secs => ${olderThanMs / 1000}::float8)
      ORDER BY created_at, id`,
};
