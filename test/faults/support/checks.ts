import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { ArtifactStore } from '../../../src/artifacts/artifact-store.ts';
import { isDatabaseUnavailable } from '../../../src/lib/database.ts';
import { getRollout } from '../../../openapi/clients/typescript/src/index.ts';
import { patientClient } from '../../../cli/demo/register-fleet.ts';
import { measuredOf, type Measured } from './measured.ts';
import type { Reference } from './reference.ts';
import { until, type FaultStack } from './stack.ts';

interface Subject {
  readonly stack: Pick<FaultStack, 'db' | 'origin' | 'operatorKey'>;
  readonly artifacts: ArtifactStore;
  readonly reference: Reference;
  readonly rolloutId: string;
}

/** How long it is looked again where the last fault has ended the campaign's own sessions or PostgreSQL, which recovers first. */
const PATIENCE_MS = 60_000;

/** Looks at everything that a round has left. @returns what is wrong, in words; nothing if nothing is */
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
  const found = await Promise.all([
    unended(subject),
    withoutArtifacts(subject),
    publishedTwice(subject),
    unlikeReference(subject),
    unanswered(subject),
  ]);
  return found.flat();
}

async function unended({ stack: { db }, rolloutId }: Subject): Promise<string[]> {
  const jobs = await db.job.findMany({ where: { rolloutId } });
  const open = jobs.filter((job) => job.finishedAt === null || job.leaseOwner !== null || job.baselinesPending);
  const left = await db.outboxEntry.count({ where: { jobId: { in: [rolloutId, ...jobs.map((job) => job.id)] } } });
  const failed = jobs.filter((job) => job.state === 'failed');
  return [
    ...open.map((job) => `job ${job.id} has not ended: ${job.state}`),
    ...failed.map((job) => `job ${job.id} failed: ${JSON.stringify(job.error)}`),
    ...(left > 0 ? [`${left} entries are left in the outbox`] : []),
  ];
}

/** Each row names content that is in the store and unchanged, and each digest has its row. */
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

/** No job has two versions of one candidate, numbers have no gaps, and each event says something new. */
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
  const completed = await db.event.count({ where: { subjectId: rolloutId, type: 'rollout.completed' } });
  if (completed !== 1) problems.push(`the rollout has ${completed} events rollout.completed`);
  return problems;
}

/** Each job has measured what the same job measures that nothing happens to, to the bit. */
async function unlikeReference({ stack: { db }, artifacts, reference, rolloutId }: Subject): Promise<string[]> {
  const problems: string[] = [];
  for (const job of await db.job.findMany({ where: { rolloutId }, orderBy: { id: 'asc' } })) {
    const [found, expected] = [await measuredOf(db, artifacts, job), await reference.of(job.id)];
    problems.push(...differences(found, expected).map((what) => `job ${job.id} (attempt ${job.attempt}): ${what}`));
  }
  return problems;
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

/** The API, which may just have been started again, shows what the database has. */
async function unanswered({ stack: { origin, operatorKey }, rolloutId }: Subject): Promise<string[]> {
  const client = patientClient(origin, operatorKey);
  const isShown = async () => (await getRollout({ client, path: { id: rolloutId } })).state === 'completed';
  return until('the API shows that the rollout is completed', isShown).then(
    () => [],
    (error: Error) => [error.message],
  );
}
