import { Prisma, type Queryable, type Transaction } from '../../../platform/database/database.ts';
import { newId } from '../../../platform/contract/ids.ts';
import type { Labels } from '../../../platform/contract/labels.ts';
import { waveRank } from './planned-jobs.repository.ts';
import type { RolloutPolicy } from '../policy.schemas.ts';
import type { AssignedWaves, RankedAdapter } from '../waves/assign-waves.ts';
import type { StoredOptions } from '../rollout.schemas.ts';

/** Adapter with the version that a rollout carries over. */
export interface SourceRow {
  adapter_version_id: string;
  adapter_id: string;
  tenant_id: string;
  base_model_version_id: string;
  dataset_id: string | null;
}

/** Counts of the adapters that a rollout would take of one tenant and from one base model version. */
export interface SourceCount {
  tenant_id: string;
  base_model_version_id: string;
  adapters: number;
  /** Number of these adapters without a dataset. */
  without_dataset: number;
  /**
   * Number of these adapters that have a dataset, but that engines would refuse by the base model's serving profile, as
   * far as the stored features of their versions tell.
   */
  not_servable: number;
  /**
   * Number of these adapters that have a dataset and whose jobs need the tenant's approval. Such adapters get no
   * control.
   */
  to_approve: number;
  /** Total number of rows in the datasets of these adapters. */
  rows: number;
}

/** Reasons why a rollout leaves an adapter out. */
export const LEFT_OUT_REASONS = ['no_version', 'carried_over', 'not_selected', 'pinned'] as const;

/** Number of adapters that a rollout leaves out, by reason. A reason that applies to no adapter is absent. */
export type LeftOut = Partial<Record<(typeof LEFT_OUT_REASONS)[number], number>>;

/**
 * Adapter that gets a control. `waits_for` is the job for which the adapter's adaptation waits, and for which the
 * control has to wait as well; null if there is none.
 */
export type ControlRow = Pick<SourceRow, 'adapter_version_id' | 'adapter_id' | 'tenant_id'> & {
  waits_for: string | null;
};

/**
 * Base model version of a rollout with the selection of adapters in its policy. Without a selection, the rollout takes
 * all adapters that still have to be carried over to that version.
 */
export interface FleetToPlan {
  readonly baseModelVersionId: string;
  readonly selection: RolloutPolicy['selection'];
  /** Identifiers of the adapters from which the selection may choose; undefined if it may choose from all adapters. */
  readonly among?: readonly string[];
}

/** Page of a query on adapters, ordered by their identifiers: up to `limit` rows after the adapter `after`. */
export interface PageRange {
  readonly after: string;
  readonly limit: number;
}

/** Options of a rollout that decide which adapters get a control. */
type ControlOptions = Pick<StoredOptions, 'seed' | 'control' | 'control_fraction'>;

/**
 * Queries that plan the jobs of a rollout. Adapters and jobs are read in pages, except that `ranked` returns all
 * adapters of the rollout at once.
 */
export const planningRepository = {
  /** Lists the base model versions that the rollout's adapters come from. */
  async oldVersions(db: Queryable, fleet: FleetToPlan): Promise<string[]> {
    const rows = await db.$queryRaw<Pick<SourceRow, 'base_model_version_id'>[]>`
      SELECT DISTINCT newest.base_model_version_id ${sourcesOf(fleet)}`;
    return rows.map((row) => row.base_model_version_id);
  },

  /**
   * Reads a page of the adapters that still have to be carried over, each with its latest version. An adapter need not
   * be carried over if its newest import, or a version made from that import, is for the new base model version
   * already.
   */
  sources: (tx: Queryable, fleet: FleetToPlan, { after, limit }: PageRange) =>
    tx.$queryRaw<SourceRow[]>`
      SELECT newest.id AS adapter_version_id, a.id AS adapter_id, a.tenant_id, newest.base_model_version_id,
        a.dataset_id
      ${sourcesOf(fleet)} AND a.id > ${after} ORDER BY a.id LIMIT ${limit}`,

  /**
   * Counts the adapters of the base model that a rollout leaves out, each under one reason. Adapters that it takes, but
   * whose jobs would fail, are not counted.
   */
  async leftOut(db: Queryable, fleet: FleetToPlan): Promise<LeftOut> {
    const [row] = await db.$queryRaw<[{ left_out: LeftOut }]>`SELECT ${leftOutOf(fleet)} AS left_out`;
    return row.left_out;
  },

  /** Stores the counts of {@link leftOut} in the rollout's row, unless the row has them already. */
  noteLeftOut: (db: Queryable, { id, ...fleet }: FleetToPlan & { id: string }) =>
    db.$executeRaw`
      UPDATE rollouts SET updated_at = clock_timestamp(), left_out = ${leftOutOf(fleet)}
      WHERE id = ${id} AND left_out IS NULL`,

  /**
   * Reads all adapters of a rollout in the order of their ranks. For each wave by label, also reads whether the adapter
   * has the labels of the wave.
   */
  ranked: (db: Queryable, { id, labels, ...fleet }: FleetToPlan & { id: string; labels: readonly Labels[] }) => {
    const labelled =
      labels.length === 0 ? Prisma.sql`'{}'::boolean[]` : Prisma.sql`ARRAY[${Prisma.join(labels.map(hasLabels))}]`;
    return db.$queryRaw<RankedAdapter[]>`
      SELECT a.id AS adapter_id, ${waveRank(id, Prisma.sql`a.id`)} AS rank, ${labelled} AS labelled
      ${sourcesOf(fleet)} ORDER BY rank`;
  },

  /** Counts the adapters that a rollout would take now, by tenant and by the base model version that they come from. */
  countSourcesByTenant: (db: Queryable, fleet: FleetToPlan) =>
    db.$queryRaw<SourceCount[]>`
      SELECT a.tenant_id, newest.base_model_version_id, count(*)::int AS adapters,
        count(*) FILTER (WHERE a.dataset_id IS NULL)::int AS without_dataset,
        count(*) FILTER (WHERE a.dataset_id IS NOT NULL AND ${NOT_SERVABLE})::int AS not_servable,
        count(*) FILTER (WHERE a.dataset_id IS NOT NULL AND a.approval = 'tenant')::int AS to_approve,
        COALESCE(sum((SELECT d.rows FROM datasets d WHERE d.id = a.dataset_id)), 0)::float8 AS rows
      ${sourcesOf(fleet)} GROUP BY a.tenant_id, newest.base_model_version_id
      ORDER BY a.tenant_id, newest.base_model_version_id`,

  async hasWaves(db: Queryable, rolloutId: string): Promise<boolean> {
    const [row] = await db.$queryRaw<{ decided: boolean }[]>`
      SELECT wave_limits IS NOT NULL AS decided FROM rollouts WHERE id = ${rolloutId}`;
    return row?.decided ?? false;
  },

  /**
   * Stores which adapters are in which wave, unless this is stored already, and releases the waves up to `first`. An
   * adapter that was removed meanwhile is left out.
   */
  async setWaves(
    tx: Transaction,
    { rolloutId, first }: { rolloutId: string; first: 0 | 1 },
    { limits, members }: AssignedWaves,
  ): Promise<void> {
    const count = await tx.$executeRaw`
      UPDATE rollouts SET wave_limits = ${[...limits]}::text[], wave = ${first}, updated_at = clock_timestamp()
      WHERE id = ${rolloutId} AND wave_limits IS NULL`;
    if (count === 0 || members.length === 0) return;
    await tx.$executeRaw`
      INSERT INTO wave_members (rollout_id, adapter_id, wave)
      SELECT ${rolloutId}, a.id, m.wave
      FROM unnest(${members.map(({ adapterId }) => adapterId)}::text[], ${members.map(({ wave }) => wave)}::int[]) AS m
        (adapter_id, wave)
      JOIN adapters a ON a.id = m.adapter_id`;
  },

  /**
   * Finds the last adapter of a rollout that has a job of this kind. An interrupted planning continues after this
   * adapter. The identifier is empty if there is no such job.
   */
  async lastPlanned(db: Queryable, rolloutId: string, kind: 'adaptation' | 'control'): Promise<string> {
    const [row] = await db.$queryRaw<{ adapter_id: string }[]>`
      SELECT adapter_id FROM jobs WHERE rollout_id = ${rolloutId} AND kind = ${kind}::job_kind
      ORDER BY rollout_id DESC, adapter_id DESC LIMIT 1`;
    return row?.adapter_id ?? '';
  },

  /**
   * Computes the largest hash with which an adapter still gets a control. Each adapter has a hash of the seed and its
   * identifier, and those with the smallest hashes get controls. So a seed always chooses the same adapters, and a
   * larger fraction only adds some.
   * @returns null if no adapter gets a control
   */
  async controlThreshold(db: Queryable, rolloutId: string, options: ControlOptions): Promise<string | null> {
    if (options.control === 'none') return null;
    const fraction = options.control === 'all' ? 1 : options.control_fraction;
    const [row] = await db.$queryRaw<{ rank: string }[]>`
      WITH able AS MATERIALIZED (SELECT ${rankOf(options.seed)} AS rank ${ableIn(rolloutId)})
      SELECT rank FROM able ORDER BY rank LIMIT 1 OFFSET (
        SELECT NULLIF(round((count(*) * ${fraction}::float8)::numeric)::bigint, 0) - 1 FROM able)`;
    return row?.rank ?? null;
  },

  /** Reads a page of the adapters that get a control, among those that have an adaptation in the rollout. */
  controls: (
    tx: Queryable,
    rolloutId: string,
    { seed, threshold }: { seed: number; threshold: string },
    { after, limit }: PageRange,
  ) =>
    tx.$queryRaw<ControlRow[]>`
      SELECT source_version_id AS adapter_version_id, adapter_id, tenant_id,
        (SELECT w.waits_for_job_id FROM job_waits w WHERE w.job_id = jobs.id) AS waits_for ${ableIn(rolloutId)}
        AND adapter_id > ${after} AND ${rankOf(seed)} <= ${threshold}
      ORDER BY rollout_id, adapter_id LIMIT ${limit}`,

  /** Whether at least one of the adapters has no adaptation in the rollout. */
  async isOneWithoutJob(tx: Transaction, rolloutId: string, adapterIds: readonly string[]): Promise<boolean> {
    const [row] = await tx.$queryRaw<{ missing: boolean }[]>`
      SELECT EXISTS (
        SELECT 1 FROM unnest(${[...adapterIds]}::text[]) AS a (id) WHERE NOT EXISTS (
          SELECT 1 FROM jobs j WHERE j.rollout_id = ${rolloutId} AND j.adapter_id = a.id
            AND j.kind = 'adaptation')) AS missing`;
    return row?.missing ?? false;
  },

  /** Records the events of newly inserted jobs with one statement. */
  recordPlanned: (tx: Transaction, rolloutId: string, jobIds: readonly string[]) =>
    tx.$executeRaw`
      INSERT INTO events (id, tenant_id, type, subject_id, data)
      SELECT e.id, j.tenant_id, 'job.' || j.state, j.id,
        jsonb_build_object('rollout_id', j.rollout_id, 'adapter_id', j.adapter_id, 'kind', j.kind) ||
          CASE WHEN j.approval IS NULL THEN '{}' ELSE jsonb_build_object('approval', j.approval) END
      FROM unnest(${jobIds.map(() => newId('event'))}::text[], ${[...jobIds]}::text[]) AS e (id, job_id)
      JOIN jobs j ON j.id = e.job_id AND j.rollout_id = ${rolloutId}
      ORDER BY j.id`,

  async countPlanned(tx: Queryable, rolloutId: string): Promise<number> {
    const [row] = await tx.$queryRaw<{ jobs: number }[]>`
      SELECT COALESCE(sum(jobs), 0)::int AS jobs FROM rollout_counts WHERE rollout_id = ${rolloutId}`;
    return row?.jobs ?? 0;
  },
};

/** Makes the SQL that finds the adapters `a` which a rollout takes, each with its latest version `newest`. */
export function sourcesOf(fleet: FleetToPlan): Prisma.Sql {
  return Prisma.sql`
    ${candidates(fleet)} JOIN LATERAL ${NEWEST} ON newest.base_model_version_id <> new_base.id
    WHERE a.deleted_at IS NULL AND ${selected(fleet.selection)} ${amongThese(fleet.among)} AND NOT ${PINNED_ELSEWHERE}
      AND NOT ${CARRIED_OVER}`;
}

/** Makes the SQL that counts, as JSON, the adapters that a rollout leaves out, by reason. */
function leftOutOf(fleet: FleetToPlan): Prisma.Sql {
  return Prisma.sql`(
    SELECT COALESCE(jsonb_object_agg(reason, adapters), '{}') FROM (
      SELECT CASE WHEN newest.id IS NULL THEN 'no_version'
        WHEN newest.base_model_version_id = new_base.id OR ${CARRIED_OVER} THEN 'carried_over'
        WHEN NOT ${selected(fleet.selection)} THEN 'not_selected'
        WHEN ${PINNED_ELSEWHERE} THEN 'pinned' END AS reason, count(*)::int AS adapters
      ${candidates(fleet)} LEFT JOIN LATERAL ${NEWEST} ON TRUE WHERE a.deleted_at IS NULL GROUP BY 1
    ) AS counted WHERE reason IS NOT NULL)`;
}

/**
 * Makes the SQL that finds all adapters `a` of a rollout's base model, with the version that they are carried over to
 * as `new_base`.
 */
function candidates({ baseModelVersionId }: FleetToPlan): Prisma.Sql {
  return Prisma.sql`
    FROM adapters a
    JOIN tenants t ON t.id = a.tenant_id AND t.deleted_at IS NULL
    JOIN base_model_versions new_base ON new_base.id = ${baseModelVersionId}
      AND new_base.base_model_id = a.base_model_id
    JOIN base_models model ON model.id = new_base.base_model_id`;
}

/** SQL for the latest version of the adapter `a`, under the name `newest`. */
const NEWEST = Prisma.sql`(
  SELECT v.id, v.base_model_version_id, v.rank, v.served_features FROM adapter_versions v WHERE v.adapter_id = a.id
    AND NOT v.superseded
    AND v.deleted_at IS NULL
  ORDER BY v.number DESC LIMIT 1
) AS newest`;

/**
 * SQL condition that engines would refuse the adapter version `newest`, by the rules of `servingRefusal` in
 * core/formats/peft/serving-rules.ts. Older rows of versions have no stored features apart from the rank, so only the
 * rank is checked for them.
 */
const NOT_SERVABLE = Prisma.sql`COALESCE(
  COALESCE((newest.served_features->>'rank')::int, newest.rank) > (model.serving_profile->>'max_rank')::int
  OR (newest.served_features->>'dora')::boolean AND NOT (model.serving_profile->>'dora')::boolean
  OR (newest.served_features->>'rslora')::boolean AND NOT (model.serving_profile->>'rslora')::boolean
  OR (newest.served_features->>'patterned')::boolean AND NOT (model.serving_profile->>'rank_patterns')::boolean
  OR NOT (model.serving_profile->'modules' @> (newest.served_features->'modules')), FALSE)`;

/** SQL condition that the tenant has pinned the adapter `a` to another base model version than `new_base`. */
const PINNED_ELSEWHERE = Prisma.sql`COALESCE(a.pinned_base_model_version_id <> new_base.id, FALSE)`;

/**
 * SQL condition that the newest import of the adapter `a`, or a version carried over from that import, is for
 * `new_base` already. It is a scalar subquery, so that PostgreSQL computes it adapter by adapter; with a join, each
 * page would read all versions.
 */
const CARRIED_OVER = Prisma.sql`COALESCE((
  SELECT TRUE FROM adapter_versions v LEFT JOIN adapter_versions source ON source.id = v.parent_version_id
  WHERE v.adapter_id = a.id AND v.base_model_version_id = new_base.id AND v.deleted_at IS NULL
    AND NOT v.provisional AND COALESCE(source.number, v.number) >= COALESCE((
      SELECT max(i.number) FROM adapter_versions i WHERE i.adapter_id = a.id AND i.origin = 'imported'), 0)
  LIMIT 1
), FALSE)`;

/**
 * Makes the SQL condition that a selection includes the adapter `a`. The selection must name the adapter or its tenant,
 * and the adapter must have all labels of the selection. A selection with nothing but labels applies to all adapters.
 */
function selected(selection: RolloutPolicy['selection']): Prisma.Sql {
  if (selection === undefined) return Prisma.sql`TRUE`;
  const { tenants, adapters, labels } = selection;
  const byLabels = labels === undefined ? Prisma.sql`TRUE` : hasLabels(labels);
  if (tenants === undefined && adapters === undefined && labels !== undefined) return byLabels;
  const [tenantIds, adapterIds] = [[...(tenants ?? [])], [...(adapters ?? [])]];
  return Prisma.sql`((a.tenant_id = ANY(${tenantIds}::text[]) OR a.id = ANY(${adapterIds}::text[])) AND ${byLabels})`;
}

/** Makes the SQL condition that the adapter `a` has all of the labels. */
function hasLabels(labels: Labels): Prisma.Sql {
  return Prisma.sql`a.labels @> ${JSON.stringify(labels)}::jsonb`;
}

function amongThese(adapterIds: FleetToPlan['among']): Prisma.Sql {
  return adapterIds === undefined ? Prisma.empty : Prisma.sql`AND a.id = ANY(${[...adapterIds]}::text[])`;
}

/**
 * Makes the SQL that finds the adaptations whose adapters may get a control: planning has not refused them, and they
 * need no approval of their tenant. Some of them may have ended since.
 */
function ableIn(rolloutId: string): Prisma.Sql {
  return Prisma.sql`
    FROM jobs WHERE rollout_id = ${rolloutId} AND kind = 'adaptation' AND source_version_id IS NOT NULL
      AND NOT (state = 'failed' AND started_at IS NULL) AND approval IS NULL`;
}

function rankOf(seed: number): Prisma.Sql {
  return Prisma.sql`encode(sha256(convert_to(${`${seed}:`} || adapter_id, 'UTF8')), 'hex')`;
}
