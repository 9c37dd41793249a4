import { Prisma, type Queryable, type Transaction } from '../../lib/database.ts';
import { newId } from '../../lib/ids.ts';
import { waveRank, type RolloutPolicy } from '../jobs/index.ts';
import type { StoredOptions } from './rollout.schemas.ts';

/** An adapter version from which a rollout carries an adapter over. */
export interface SourceRow {
  adapter_version_id: string;
  adapter_id: string;
  tenant_id: string;
  base_model_version_id: string;
  dataset_id: string | null;
}

/** `waits_for` is the job that the adaptation waits for; the control waits with it. */
export type ControlRow = Pick<SourceRow, 'adapter_version_id' | 'adapter_id' | 'tenant_id'> & {
  waits_for: string | null;
};

/** Which adapters a rollout takes: all that have no version for the base model version, or a selection of them. */
export interface FleetToPlan {
  readonly baseModelVersionId: string;
  readonly selection: RolloutPolicy['selection'];
  /** No others than these, by their identifiers. */
  readonly among?: readonly string[];
}

/** The rows that follow the given adapter, at most so many, in the order of the adapters' identifiers. */
interface PageRange {
  readonly after: string;
  readonly limit: number;
}

/** The options that choose controls. */
type ControlOptions = Pick<StoredOptions, 'seed' | 'control' | 'control_fraction'>;

/** Queries that plan the jobs of a rollout. None of them returns more rows than a page has. */
export const planningRepository = {
  /** The base model versions that adapters come from. */
  async oldVersions(db: Queryable, fleet: FleetToPlan): Promise<string[]> {
    const rows = await db.$queryRaw<Pick<SourceRow, 'base_model_version_id'>[]>`
      SELECT DISTINCT newest.base_model_version_id ${sourcesOf(fleet)}`;
    return rows.map((row) => row.base_model_version_id);
  },

  /**
   * The latest version of each adapter of the base model that has none for this base model version yet: neither the
   * newest import nor anything that was carried over from it.
   */
  sources: (tx: Queryable, fleet: FleetToPlan, { after, limit }: PageRange) =>
    tx.$queryRaw<SourceRow[]>`
      SELECT newest.id AS adapter_version_id, a.id AS adapter_id, a.tenant_id, newest.base_model_version_id, a.dataset_id
      ${sourcesOf(fleet)} AND a.id > ${after} ORDER BY a.id LIMIT ${limit}`,

  async countSources(db: Queryable, fleet: FleetToPlan): Promise<number> {
    const [row] = await db.$queryRaw<{ count: number }[]>`SELECT count(*)::int AS count ${sourcesOf(fleet)}`;
    return row?.count ?? 0;
  },

  /**
   * Writes down the ranks of the adapters at these places, which end the waves of a rollout, unless that is done. The `first` wave is
   * released.
   */
  setWaveLimits: (
    db: Queryable,
    { id, places, first, ...fleet }: FleetToPlan & { id: string; places: readonly number[]; first: 0 | 1 },
  ) =>
    db.$executeRaw`
      UPDATE rollouts SET wave_limits = ARRAY(
        SELECT rank FROM (
          SELECT rank, row_number() OVER (ORDER BY rank) AS place
          FROM (SELECT ${waveRank(id, Prisma.sql`a.id`)} AS rank ${sourcesOf(fleet)}) AS ranked
        ) AS numbered WHERE place = ANY(${[...places]}::int[]) ORDER BY place), wave = ${first}, updated_at = clock_timestamp()
      WHERE id = ${id} AND wave_limits IS NULL`,

  /** The last adapter with a job of this kind, where an interrupted planning goes on; empty if there is none. */
  async lastPlanned(db: Queryable, rolloutId: string, kind: 'adaptation' | 'control'): Promise<string> {
    const [row] = await db.$queryRaw<{ adapter_id: string }[]>`
      SELECT adapter_id FROM jobs WHERE rollout_id = ${rolloutId} AND kind = ${kind}::job_kind
      ORDER BY rollout_id DESC, adapter_id DESC LIMIT 1`;
    return row?.adapter_id ?? '';
  },

  /**
   * The largest hash of seed and identifier with which an adapter gets a control: a sample consists of those with the smallest
   * hashes, so a seed always chooses the same adapters, and a larger fraction only adds to them.
   * @returns null if no adapter gets one
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

  /** The adapters that get a control, of those whose adaptation is planned. */
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

  /** Records the events of newly inserted jobs with one statement. */
  recordPlanned: (tx: Transaction, rolloutId: string, jobIds: readonly string[]) =>
    tx.$executeRaw`
      INSERT INTO events (id, tenant_id, type, subject_id, data)
      SELECT e.id, j.tenant_id, 'job.' || j.state, j.id,
        jsonb_build_object('rollout_id', j.rollout_id, 'adapter_id', j.adapter_id, 'kind', j.kind)
      FROM unnest(${jobIds.map(() => newId('event'))}::text[], ${[...jobIds]}::text[]) AS e (id, job_id)
      JOIN jobs j ON j.id = e.job_id AND j.rollout_id = ${rolloutId}
      ORDER BY j.id`,

  async countPlanned(tx: Queryable, rolloutId: string): Promise<number> {
    const [row] = await tx.$queryRaw<{ jobs: number }[]>`
      SELECT COALESCE(sum(jobs), 0)::int AS jobs FROM rollout_counts WHERE rollout_id = ${rolloutId}`;
    return row?.jobs ?? 0;
  },
};

/** As a value, the last condition is computed for one adapter after the other. As a join, each page would read all versions. */
function sourcesOf({ baseModelVersionId, selection, among }: FleetToPlan): Prisma.Sql {
  return Prisma.sql`
    FROM adapters a
    JOIN tenants t ON t.id = a.tenant_id AND t.deleted_at IS NULL
    JOIN base_model_versions new_base ON new_base.id = ${baseModelVersionId} AND new_base.base_model_id = a.base_model_id
    JOIN LATERAL (
      SELECT v.id, v.base_model_version_id FROM adapter_versions v WHERE v.adapter_id = a.id AND NOT v.superseded
        AND v.deleted_at IS NULL
      ORDER BY v.number DESC LIMIT 1
    ) AS newest ON newest.base_model_version_id <> new_base.id
    WHERE a.deleted_at IS NULL ${selected(selection)} ${amongThese(among)} AND NOT COALESCE((
      SELECT TRUE FROM adapter_versions v LEFT JOIN adapter_versions source ON source.id = v.parent_version_id
      WHERE v.adapter_id = a.id AND v.base_model_version_id = new_base.id AND v.deleted_at IS NULL
        AND NOT v.provisional AND COALESCE(source.number, v.number) >= COALESCE((
          SELECT max(i.number) FROM adapter_versions i WHERE i.adapter_id = a.id AND i.origin = 'imported'), 0)
      LIMIT 1
    ), FALSE)`;
}

/** Adapters have to be named themselves or belong to a tenant that is. */
function selected(selection: RolloutPolicy['selection']): Prisma.Sql {
  if (selection === undefined) return Prisma.empty;
  const { tenants = [], adapters = [] } = selection;
  return Prisma.sql`AND (a.tenant_id = ANY(${[...tenants]}::text[]) OR a.id = ANY(${[...adapters]}::text[]))`;
}

function amongThese(adapterIds: FleetToPlan['among']): Prisma.Sql {
  return adapterIds === undefined ? Prisma.empty : Prisma.sql`AND a.id = ANY(${[...adapterIds]}::text[])`;
}

/** The adaptations that were not refused when they were planned. Some of them may have ended since. */
function ableIn(rolloutId: string): Prisma.Sql {
  return Prisma.sql`
    FROM jobs WHERE rollout_id = ${rolloutId} AND kind = 'adaptation' AND source_version_id IS NOT NULL
      AND NOT (state = 'failed' AND started_at IS NULL)`;
}

function rankOf(seed: number): Prisma.Sql {
  return Prisma.sql`encode(sha256(convert_to(${`${seed}:`} || adapter_id, 'UTF8')), 'hex')`;
}
