import type { GateOutcomes } from '../../../core/adaptation/measurements/gate-outcomes.ts';
import type { Prisma, Queryable, Transaction } from '../../../src/platform/database/database.ts';
import { keepOutcomes, storedOutcomes, withdrawOutcomeRequest } from '../../../src/fleet/outcomes/index.ts';
import type { SourcedBase } from '../../bases/local-bases.ts';
import { presentWorkers } from '../../../src/operations/workers/index.ts';

const NEEDED = {
  baseModelVersion: { select: { id: true, version: true, path: true, sourceKey: true } },
} satisfies Prisma.AdapterVersionInclude;

/**
 * Adapter version that serves as an anchor: gates measure the allowed loss of later versions against it. A deleted one
 * can be read until garbage collection removes it.
 */
export type AnchorVersion = Prisma.AdapterVersionGetPayload<{ include: typeof NEEDED }>;

/** Results of an anchor on each gate row, which stay stored after the version itself is removed. */
export interface KeptOutcomes {
  readonly number: number;
  readonly measuredAt: Date;
  readonly outcomes: GateOutcomes;
}

/** Anchor that a job has measured its candidates against, as the database stores it. */
export interface JobAnchor {
  readonly versionId: string;
  readonly number: number | null;
  readonly value: number;
  /** Result of the anchor on each gate row, if the job has measured it; otherwise null. */
  readonly outcomes: GateOutcomes | null;
  /** Id of the imported version, if it should have been the anchor but could not be measured; otherwise null. */
  readonly insteadOf: string | null;
}

/** Queries about anchors, the adapter versions against which gates measure the allowed loss. */
export const anchorRepository = {
  /** Finds an adapter version. A deleted version is also found, until garbage collection removes it. */
  version: (db: Queryable, id: string): Promise<AnchorVersion | null> =>
    db.adapterVersion.findUnique({ where: { id }, include: NEEDED }),

  /**
   * Returns the base of the anchor that a job's margin counts from, as a list of one base. The list is empty if this
   * base is not fetched from a source.
   */
  fetchedBase: (db: Queryable, jobId: string) =>
    db.$queryRaw<SourcedBase[]>`
      SELECT b.id, b.version, b.path, b.source_key AS "sourceKey" FROM jobs j
      JOIN adapter_versions source ON source.id = j.source_version_id
      JOIN adapter_versions anchor ON anchor.id = source.anchor_version_id
      JOIN base_model_versions b ON b.id = anchor.base_model_version_id
      WHERE j.id = ${jobId} AND b.source_key IS NOT NULL`,

  /** Whether another worker that is alive and not draining may be able to read the given base. */
  async othersMayRead(db: Queryable, baseModelVersionId: string, workerId: string | null): Promise<boolean> {
    const others = await presentWorkers(db);
    return others.some(({ id, state, unreadableBases }) => {
      return id !== workerId && state !== 'draining' && !unreadableBases.includes(baseModelVersionId);
    });
  },

  async outcomes(db: Queryable, versionId: string): Promise<KeptOutcomes | null> {
    const found = await db.anchorOutcomes.findUnique({ where: { anchorVersionId: versionId } });
    if (found === null) return null;
    const { number, measuredAt } = found;
    return { number, measuredAt, outcomes: storedOutcomes(found) };
  },

  /**
   * Stores the results of an anchor that a job has measured. Stores nothing if garbage collection has removed the
   * version meanwhile.
   */
  async keep(tx: Transaction, version: { id: string; tenantId: string }, outcomes: GateOutcomes): Promise<void> {
    const found = await tx.$queryRaw<unknown[]>`SELECT 1 FROM adapter_versions WHERE id = ${version.id} FOR KEY SHARE`;
    if (found.length === 0) return;
    await keepOutcomes(tx, version, outcomes);
    await withdrawOutcomeRequest(tx, version.id);
  },

  /** Makes an adapter version an anchor: copies its results to a table that keeps them after the version is removed. */
  make: (tx: Transaction, versionId: string) =>
    tx.$executeRaw`
      INSERT INTO anchor_outcomes (
        anchor_version_id, tenant_id, adapter_id, number, digest, value, standard_error, values, watched, measured_at)
      SELECT v.id, v.tenant_id, v.adapter_id, v.number, o.digest, o.value, o.standard_error, o.values, o.watched,
        o.measured_at
      FROM gate_outcomes o JOIN adapter_versions v ON v.id = o.adapter_version_id WHERE v.id = ${versionId}
      ON CONFLICT (anchor_version_id) DO UPDATE SET digest = EXCLUDED.digest, value = EXCLUDED.value,
        standard_error = EXCLUDED.standard_error, values = EXCLUDED.values, watched = EXCLUDED.watched,
        measured_at = EXCLUDED.measured_at`,
};
