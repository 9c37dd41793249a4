import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Job } from '../../../src/platform/database/generated/prisma/client.ts';
import type { Database } from '../../../src/platform/database/database.ts';
import type { ArtifactStore } from '../../../src/platform/artifacts/artifact-store.ts';

/** Results of a job that must not depend on faults of its processes. */
export interface Measured {
  readonly state: string;
  readonly strategy: string | null;
  readonly alpha: number | null;
  readonly beta: number | null;
  readonly best: number | null;
  readonly old: number | null;
  readonly none: number | null;
  readonly copy: number | null;
  readonly steps: number;
  readonly precision: string | null;
  /** Metric points by `name@step`. */
  readonly points: Readonly<Record<string, number>>;
  /** α, β, rows and loss of each evaluation. */
  readonly searches: readonly (readonly number[])[];
  /** SHA-256 of the factors of each published version, in order, and of the kept candidate. */
  readonly factors: readonly string[];
}

/** Reads a job's results from the database and the store. */
export async function measuredOf(db: Database, artifacts: ArtifactStore, job: Job): Promise<Measured> {
  const where = { jobId: job.id };
  const points = await db.metricPoint.findMany({ where });
  const searches = await db.searchEvaluation.findMany({ where, orderBy: { index: 'asc' } });
  const versions = await db.adapterVersion.findMany({ where, orderBy: { number: 'asc' } });
  const kept = (job.error as { candidate_digest?: string } | null)?.candidate_digest ?? null;
  const digests = [...versions.map((version) => version.artifactDigest), ...(kept === null ? [] : [kept])];
  return {
    state: job.state,
    strategy: job.wonStrategy,
    alpha: job.fusionAlpha,
    beta: job.fusionBeta,
    best: job.metricBest,
    old: job.metricOld,
    none: job.metricNone,
    copy: job.metricCopy,
    steps: job.step,
    precision: job.precision,
    points: sorted(points.map(({ name, step, value }) => [`${name}@${step}`, value])),
    searches: searches.map(({ fusionAlpha, fusionBeta, rows, loss }) => [fusionAlpha, fusionBeta, rows, loss]),
    factors: await Promise.all(digests.map(async (digest) => factorsOf(await artifacts.localPath(digest)))),
  };
}

export function sorted(entries: readonly (readonly [string, number])[]): Record<string, number> {
  return Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** SHA-256 of the factors in a PEFT folder. */
export async function factorsOf(folder: string): Promise<string> {
  const bytes = await readFile(path.join(folder, 'adapter_model.safetensors'));
  return createHash('sha256').update(bytes).digest('hex');
}
