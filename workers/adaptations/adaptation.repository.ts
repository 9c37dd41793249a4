import type { Prisma, Queryable, Transaction } from '../../src/platform/database/database.ts';
import { newId } from '../../src/platform/contract/ids.ts';
import type { StoredError } from '../../src/platform/contract/shown-error.ts';
import type { SourcedBase } from '../bases/local-bases.ts';
import { insertAdapterVersion, lockAdapter } from '../../src/fleet/adapters/index.ts';
import { recordEvent } from '../../src/delivery/events/index.ts';
import { keepOutcomes, storedOutcomes, withdrawOutcomeRequest } from '../../src/fleet/outcomes/index.ts';
import { anchorRepository, type JobAnchor } from './anchors/anchor.repository.ts';
import { keepLadder, type LadderOwner } from './ladder.repository.ts';
import type { GateOutcomes } from '../../core/adaptation/measurements/gate-outcomes.ts';
import type { MetricPoint } from '../../core/adaptation/job-events.ts';
import type { RowsUsed } from '../../core/adaptation/job-outcome.ts';
import type { NegativeFlip } from '../../core/adaptation/measurements/negative-flips.ts';
import type { SliceValues } from '../../core/adaptation/measurements/slices.ts';
import { certificateDocument } from '../../core/method/gate/certificate-document.ts';
import type { Certificate } from '../../core/method/gate/readiness-gate.ts';
import type { CandidateRecord } from '../../core/method/ladder/candidate.ts';
import type { LadderDocument } from '../../core/method/ladder/ladder-document.ts';
import type { RowFormat } from '../../core/adaptation/setup/row-format.ts';

/** Related rows that are read together with a job that is to be run: rollout, base versions, adapter and dataset. */
const NEEDED = {
  rollout: {
    include: { baseModelVersion: { include: { baseModel: { select: { name: true, servingProfile: true } } } } },
  },
  sourceVersion: { include: { baseModelVersion: true } },
  adapter: { include: { dataset: true } },
} satisfies Prisma.JobInclude;

/** Largest number of warnings that are stored for a job. */
const MAX_WARNINGS = 50;

type FoundJob = Prisma.JobGetPayload<{ include: typeof NEEDED }>;

/** Job with the adapter version that it carries over, which cannot be deleted before the job has ended. */
export type LoadedJob = FoundJob & { sourceVersionId: string; sourceVersion: NonNullable<FoundJob['sourceVersion']> };

export interface SearchRow {
  index: number;
  fusionAlpha: number;
  fusionBeta: number;
  rows: number;
  metric: string;
  loss: number;
  durationMs: number;
}

export interface PublishedFolder {
  digest: string;
  rank: number;
  loraAlpha: number;
  /**
   * Features that the published adapter demands of serving engines, such as DoRA; undefined if the features of the
   * version that it was made from are not known.
   */
  servedFeatures: Prisma.InputJsonObject | undefined;
  candidate: CandidateRecord;
  rows: RowsUsed;
  outcomes: GateOutcomes;
  slices: SliceValues;
  /** Adapter version against which the gate measured the allowed loss; null if the gate has no margin. */
  anchor: JobAnchor | null;
  flips: readonly NegativeFlip[];
}

/** Measurements of a running job that are not in the database yet. */
export interface PendingMeasurements {
  readonly points: readonly MetricPoint[];
  readonly searches: readonly SearchRow[];
  /** Result of the old adapter on the old base for each gate row. */
  readonly old: GateOutcomes | null;
  /**
   * Adapter version against which the gate measures the allowed loss; null if it was not measured since the last write.
   */
  readonly anchor: JobAnchor | null;
  readonly rowFormat: RowFormat | null;
  readonly warnings: readonly string[];
  /** Results of the ladder's rungs so far. */
  readonly ladder: LadderDocument | null;
}

export const NO_PENDING_MEASUREMENTS: PendingMeasurements = {
  points: [],
  searches: [],
  old: null,
  anchor: null,
  rowFormat: null,
  warnings: [],
  ladder: null,
};

export const adaptationRepository = {
  async load(db: Queryable, jobId: string): Promise<LoadedJob | null> {
    const job = await db.job.findUnique({ where: { id: jobId }, include: NEEDED });
    return job !== null && hasSource(job) ? job : null;
  },

  /** New base and old base of a job, in this order; empty if the job does not exist. */
  async bases(db: Queryable, jobId: string): Promise<SourcedBase[]> {
    const fields = { select: { id: true, version: true, path: true, sourceKey: true } } as const;
    const base = { select: { baseModelVersion: fields } } as const;
    const job = await db.job.findUnique({ where: { id: jobId }, select: { rollout: base, sourceVersion: base } });
    return [job?.rollout, job?.sourceVersion].flatMap((of) => of?.baseModelVersion ?? []);
  },

  /** Whether the baselines of a job are still to be measured. False while the job's rollout is paused. */
  hasPendingBaselines: async (db: Queryable, jobId: string): Promise<boolean> =>
    (await db.job.count({ where: { id: jobId, baselinesPending: true, rollout: { state: { not: 'paused' } } } })) > 0,

  /** Stores in the row of a queued job that no worker holds why the job has to wait. */
  async noteWaiting(db: Queryable, jobId: string, error: StoredError): Promise<void> {
    await db.job.updateMany({ where: { id: jobId, state: 'queued', leaseOwner: null }, data: { error: { ...error } } });
  },

  evolution: (db: Queryable, oldBaseModelVersionId: string, newBaseModelVersionId: string) =>
    db.evolution.findUnique({
      where: { oldBaseModelVersionId_newBaseModelVersionId: { oldBaseModelVersionId, newBaseModelVersionId } },
    }),

  /**
   * Milliseconds until the lease on the job expires; null if no worker holds the job, or if it has ended or does not
   * exist.
   */
  async leaseLeft(db: Queryable, jobId: string): Promise<number | null> {
    const [row] = await db.$queryRaw<{ left_ms: number }[]>`
      SELECT (EXTRACT(EPOCH FROM lease_expires_at - clock_timestamp()) * 1000)::float8 AS left_ms FROM jobs
      WHERE id = ${jobId} AND finished_at IS NULL AND lease_owner IS NOT NULL`;
    return row?.left_ms ?? null;
  },

  /** Returns those of the given job ids whose jobs have ended or no longer exist. */
  ended: async (db: Queryable, jobIds: readonly string[]): Promise<string[]> => {
    const rows = await db.job.findMany({
      where: { id: { in: [...jobIds] }, finishedAt: null },
      select: { id: true },
    });
    const unfinished = new Set(rows.map((row) => row.id));
    return jobIds.filter((id) => !unfinished.has(id));
  },

  /**
   * Reads for each gate row the result of the old adapter on the old base, if this was measured before the rollout was
   * accepted. Later measurements do not count, so that a job and its control, which runs after it, do equal work.
   */
  async oldOutcomes(db: Queryable, job: LoadedJob): Promise<GateOutcomes | null> {
    const found = await db.gateOutcomes.findFirst({
      where: { adapterVersionId: job.sourceVersionId, measuredAt: { lt: job.rollout.acceptedAt } },
    });
    return found && storedOutcomes(found);
  },

  /**
   * Writes measurements. If a resumed job measures a point again, the first value is kept. The old adapter's outcomes
   * and the ladder are replaced, and each warning is stored once.
   */
  async insertMeasurements(
    tx: Transaction,
    job: LadderOwner & { sourceVersionId: string },
    { points, searches, old, anchor, rowFormat, warnings, ladder }: PendingMeasurements,
  ): Promise<void> {
    const owner = { jobId: job.id, tenantId: job.tenantId };
    if (points.length > 0) {
      await tx.metricPoint.createMany({ data: points.map((point) => ({ ...owner, ...point })), skipDuplicates: true });
    }
    if (searches.length > 0) {
      await tx.searchEvaluation.createMany({
        data: searches.map((search) => ({ ...owner, ...search })),
        skipDuplicates: true,
      });
    }
    if (rowFormat !== null) {
      const { appendEos, appendEosReason, maxLength } = rowFormat;
      await tx.job.update({ where: { id: job.id }, data: { appendEos, appendEosReason, maxLength } });
    }
    if (warnings.length > 0) {
      await tx.$executeRaw`
        UPDATE jobs SET warnings = (COALESCE(warnings, '{}') || ARRAY(
          SELECT found FROM unnest(${[...warnings]}::text[]) WITH ORDINALITY AS w(found, place)
          WHERE found <> ALL (COALESCE(warnings, '{}')) GROUP BY found ORDER BY min(place)))[1:${MAX_WARNINGS}::int]
        WHERE id = ${job.id}`;
    }
    if (ladder !== null) await keepLadder(tx, job, ladder);
    if (old !== null) {
      await keepOutcomes(tx, { id: job.sourceVersionId, tenantId: job.tenantId }, old);
      // The adapter's rows cannot change while a job runs, so no other worker needs to measure this version.
      await withdrawOutcomeRequest(tx, job.sourceVersionId);
    }
    if (anchor !== null) {
      const { versionId, value, outcomes } = anchor;
      await tx.job.update({ where: { id: job.id }, data: { anchorVersionId: versionId, metricAnchor: value } });
      if (outcomes !== null) await anchorRepository.keep(tx, { id: versionId, tenantId: job.tenantId }, outcomes);
    }
  },

  /**
   * Writes the adapter version of a candidate and returns its id. If an earlier attempt of the job has published the
   * candidate, but ended before the acknowledgment, nothing is written and that version's id is returned.
   */
  async insertVersion(tx: Transaction, job: LoadedJob, published: PublishedFolder): Promise<string> {
    const { candidate, anchor } = published;
    await lockAdapter(tx, job.adapterId);
    const earlier = await tx.adapterVersion.findFirst({
      where: {
        jobId: job.id,
        provisional: false,
        OR: [
          { artifactDigest: published.digest },
          {
            strategy: candidate.strategy,
            fusionAlpha: candidate.alpha,
            fusionBeta: candidate.beta,
            metrics: { path: ['step'], equals: candidate.step },
          },
        ],
      },
      select: { id: true },
    });
    if (earlier !== null) return earlier.id;
    const { id } = await insertAdapterVersion(tx, {
      id: newId('adapterVersion'),
      tenantId: job.tenantId,
      adapterId: job.adapterId,
      baseModelVersionId: job.rollout.baseModelVersionId,
      parentVersionId: job.sourceVersionId,
      origin: 'adapted',
      artifactDigest: published.digest,
      rank: published.rank,
      loraAlpha: published.loraAlpha,
      servedFeatures: published.servedFeatures,
      strategy: candidate.strategy,
      fusionAlpha: candidate.alpha,
      fusionBeta: candidate.beta,
      metrics: metricsOf(published),
      jobId: job.id,
      ...(anchor !== null && { anchorVersionId: anchor.versionId }),
      gateOutcomes: { create: { tenantId: job.tenantId, ...outcomesOf(published.outcomes) } },
      ...(published.flips.length > 0 && { negativeFlips: { create: flipsOf(job, published.flips) } }),
    });
    if (anchor !== null && anchor.insteadOf !== null) await recordMovedAnchor(tx, job, { ...anchor, publishedId: id });
    return id;
  },
};

/**
 * Makes the adapter version that this job carried over the anchor, because the results of the imported version are not
 * known. The margins of later jobs count from the new anchor. Records an event about the change.
 */
async function recordMovedAnchor(
  tx: Transaction,
  { tenantId, adapterId }: LoadedJob,
  { versionId, insteadOf, publishedId }: JobAnchor & { publishedId: string },
): Promise<void> {
  await anchorRepository.make(tx, versionId);
  const data = { version_id: publishedId, from: insteadOf, anchor_version_id: versionId };
  await recordEvent(tx, { tenantId, type: 'adapter.anchor_moved', subjectId: adapterId, data });
}

function hasSource(job: FoundJob): job is LoadedJob {
  return job.sourceVersion !== null;
}

function metricsOf({ candidate, rows: data, slices, anchor }: PublishedFolder): Prisma.InputJsonObject {
  const { step, metric, bound, negativeFlips, judgedIn, certificate } = candidate;
  const { name, value, standardError, rows } = metric;
  return {
    metric: name,
    value,
    standard_error: standardError,
    bound,
    negative_flips: negativeFlips,
    certificate: certificateColumn(certificate),
    examples: rows,
    step,
    data,
    judged_in: judgedIn ?? null,
    ...(anchor !== null && { anchor: { version_id: anchor.versionId, number: anchor.number, value: anchor.value } }),
    ...(Object.keys(slices).length > 0 && { slices: slices as unknown as Prisma.InputJsonObject }),
  };
}

/** Converts a certificate to the JSON that a database column stores. */
export function certificateColumn(certificate: Certificate | null): Prisma.InputJsonObject | null {
  const document = certificateDocument(certificate);
  if (document === null) return null;
  const { slices, ...whole } = document;
  return { ...whole, ...(slices && { slices: slices.map((slice) => ({ ...slice })) }) };
}

function flipsOf({ tenantId, adapter }: LoadedJob, flips: readonly NegativeFlip[]) {
  return {
    tenantId,
    datasetId: adapter.datasetId,
    flips: flips.map(({ row, slices }) => ({ row, slices: [...slices] })),
  };
}

function outcomesOf({ digest, value, standardError, values, watched }: GateOutcomes) {
  const onSearch = watched && { watched: { digest: watched.digest, values: [...watched.values] } };
  return { digest, value, standardError, values: [...values], ...onSearch };
}
