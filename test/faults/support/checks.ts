import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { ArtifactStore } from '../../../src/platform/artifacts/artifact-store.ts';
import type { Job } from '../../../src/platform/database/generated/prisma/client.ts';
import { isDatabaseUnavailable } from '../../../src/platform/database/database.ts';
import { getRollout } from '../../../openapi/clients/typescript/src/index.ts';
import { retryingClient } from '../../../cli/demo/register-fleet.ts';
import { measuredOf, type Measured } from './measured.ts';
import { rolloutsBeside } from './newer-version.ts';
import type { Reference } from './reference.ts';
import { until, type FaultStack } from './stack.ts';

interface Subject {
  readonly stack: Pick<FaultStack, 'db' | 'origin' | 'operatorKey'>;
  readonly artifacts: ArtifactStore;
  readonly reference: Reference;
  readonly rolloutId: string;
}

/**
 * Time for repeating the checks while PostgreSQL recovers, if the last fault ended the campaign's own sessions or the
 * server.
 */
const PATIENCE_MS = 60_000;

/** Checks everything that a round has left. @returns the problems in words */
export async function problemsOf(subject: Subject): Promise<string[]> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await look(subject);
    } catch (error) {
      if (performance.now() > deadline || !isDatabaseUnavailable(error)) throw error;
      await sleep(500);
    }
  }
}

async function look(subject: Subject): Promise<string[]> {
  const problems: string[] = [];
  for (const { id: rolloutId } of await rolloutsBeside(subject.stack, subject.rolloutId)) {
    const own = { ...subject, rolloutId };
    const found = await Promise.all([
      unended(own),
      withoutArtifacts(own),
      publishedTwice(own),
      unlikeReference(own),
      unanswered(own),
    ]);
    problems.push(...found.flat());
  }
  return [...problems, ...(await notOnNewest(subject))];
}

/** Adapters that are neither served by the version published for the newest base nor explained by their job there. */
async function notOnNewest({ stack, rolloutId }: Subject): Promise<string[]> {
  const rollouts = await rolloutsBeside(stack, rolloutId);
  const newest = rollouts.at(-1)!;
  const first = await stack.db.job.findMany({ where: { rolloutId: rollouts[0]!.id }, select: { adapterId: true } });
  const jobs = await stack.db.job.findMany({ where: { rolloutId: newest.id, kind: 'adaptation' } });
  const { baseModelVersionId } = newest;
  const current = await stack.db.currentVersion.findMany({
    where: { baseModelVersionId },
    include: { adapterVersion: true },
  });
  const adapters = new Set([...first, ...jobs].map(({ adapterId }) => adapterId));
  return [...adapters].flatMap((adapterId) => {
    const job = jobs.find((one) => one.adapterId === adapterId);
    if (job === undefined) return [`adapter ${adapterId} has no job in the newest rollout ${newest.id}`];
    const served = current.find((row) => row.adapterId === adapterId)?.adapterVersion ?? null;
    if (job.state === 'ready') {
      return served?.jobId === job.id ? [] : [`adapter ${adapterId} is not served by the version of its job ${job.id}`];
    }
    const { code } = (job.error ?? {}) as { code?: string };
    return job.state === 'not_ready' && code !== undefined ? [] : [`job ${job.id} is ${job.state} without a reason`];
  });
}

async function unended({ stack: { db }, rolloutId }: Subject): Promise<string[]> {
  const jobs = await db.job.findMany({ where: { rolloutId } });
  const open = jobs.filter((job) => job.finishedAt === null || job.leaseOwner !== null || job.baselinesPending);
  const left = await db.outboxEntry.count({ where: { jobId: { in: [rolloutId, ...jobs.map((job) => job.id)] } } });
  const failed = jobs.filter((job) => job.state === 'failed');
  const cancelled = jobs.filter((job) => job.state === 'cancelled' && !isSuperseded(job));
  return [
    ...open.map((job) => `job ${job.id} has not ended: ${job.state}`),
    ...failed.map((job) => `job ${job.id} failed: ${JSON.stringify(job.error)}`),
    ...cancelled.map((job) => `job ${job.id} was cancelled, and not superseded: ${JSON.stringify(job.error)}`),
    ...(left > 0 ? [`${left} entries are left in the outbox`] : []),
  ];
}

/** Whether a newer rollout has taken the adapter of a job that had not ended. */
const isSuperseded = (job: Job): boolean => (job.error as { code?: string } | null)?.code === 'superseded';

/** Rows whose content is missing or changed in the store, and digests without a row. */
async function withoutArtifacts({ stack: { db }, artifacts, rolloutId }: Subject): Promise<string[]> {
  const jobs = await db.job.findMany({ where: { rolloutId } });
  const versions = await db.adapterVersion.findMany({ where: { jobId: { in: jobs.map((job) => job.id) } } });
  const kept = jobs.flatMap((job) => (job.error as { candidate_digest?: string } | null)?.candidate_digest ?? []);
  const digests = new Set([...versions.map((version) => version.artifactDigest), ...kept]);
  const registered = await db.artifact.findMany({ where: { digest: { in: [...digests] } } });
  const problems = registered.length < digests.size ? ['a digest has no row of its artifact'] : [];
  for (const digest of digests) await artifacts.verify(digest).catch((error: Error) => problems.push(error.message));
  return problems;
}

/** Duplicate publications of a candidate, gaps in version numbers, and repeated events. */
async function publishedTwice({ stack: { db }, rolloutId }: Subject): Promise<string[]> {
  const jobs = await db.job.findMany({ where: { rolloutId }, include: { adapter: { include: { versions: true } } } });
  const problems: string[] = [];
  for (const { id, adapter, state } of jobs) {
    const own = adapter.versions.filter((version) => version.jobId === id);
    const candidates = own.map((version) => JSON.stringify([version.strategy, version.metrics]));
    if (new Set(candidates).size < candidates.length) problems.push(`job ${id} has published a candidate twice`);
    const numbers = adapter.versions.map((version) => version.number).sort((a, b) => a - b);
    if (numbers.some((number, index) => number !== index + 1)) problems.push(`versions have numbers ${numbers.join()}`);
    if (state === 'ready' && own.length === 0) problems.push(`job ${id} is ready without a version`);
    const ready = await db.event.count({ where: { subjectId: id, type: 'job.ready' } });
    if (ready !== (state === 'ready' ? 1 : 0)) problems.push(`job ${id} has ${ready} events job.ready and is ${state}`);
  }
  const completed = await db.event.count({
    where: { subjectId: rolloutId, type: 'rollout.completed', isCopy: false },
  });
  if (completed !== 1) problems.push(`the rollout has ${completed} events rollout.completed`);
  return problems;
}

/**
 * Jobs whose measurements differ, bit for bit, from those of the same job run undisturbed. Superseded jobs are left
 * out.
 */
async function unlikeReference({ stack: { db }, artifacts, reference, rolloutId }: Subject): Promise<string[]> {
  const problems: string[] = [];
  const { supersededById } = await db.rollout.findUniqueOrThrow({ where: { id: rolloutId } });
  for (const job of await db.job.findMany({ where: { rolloutId }, orderBy: { id: 'asc' } })) {
    if (isSuperseded(job)) continue;
    const [found, expected] = [await measuredOf(db, artifacts, job), await reference.of(job.id)];
    // A newer rollout may have cut the refinement of a published job short.
    const mayBeCutShort = supersededById !== null && job.state === 'ready';
    const what = mayBeCutShort ? otherFactors(found, expected) : differences(found, expected);
    problems.push(...what.map((difference) => `job ${job.id} (attempt ${job.attempt}): ${difference}`));
  }
  return problems;
}

/** Differences between the published factors and the first as many of the undisturbed run. */
function otherFactors({ factors: found }: Measured, { factors: expected }: Measured): string[] {
  if (found.length > 0 && isDeepStrictEqual(found, expected.slice(0, found.length))) return [];
  return [`it has published ${found.join(', ')}, undisturbed ${expected.join(', ')}`];
}

function differences(found: Measured, expected: Measured): string[] {
  return (Object.keys(expected) as (keyof Measured)[]).flatMap((name) => {
    const [one, other] = [found[name], expected[name]];
    if (isDeepStrictEqual(one, other)) return [];
    if (name !== 'points') return [`${name} is ${JSON.stringify(one)}, undisturbed ${JSON.stringify(other)}`];
    const names = new Set([...Object.keys(found.points), ...Object.keys(expected.points)]);
    const unlike = [...names].filter((point) => found.points[point] !== expected.points[point]);
    const shown = unlike.slice(0, 5).map((at) => `${at} ${found.points[at]} for ${expected.points[at]}`);
    return [`${unlike.length} of ${names.size} points: ${shown.join(', ')}`];
  });
}

/** Differences between the API's answers and the database. The API may just have been restarted. */
async function unanswered({ stack: { origin, operatorKey }, rolloutId }: Subject): Promise<string[]> {
  const client = retryingClient(origin, operatorKey);
  const isShown = async () => (await getRollout({ client, path: { id: rolloutId } })).state === 'completed';
  return until('the API shows that the rollout is completed', isShown).then(
    () => [],
    (error: Error) => [error.message],
  );
}
