import type { Publication } from '../../core/adaptation/job-events.ts';
import { readAdapterConfig } from '../../core/formats/peft/peft-config.ts';
import type { CandidateRecord } from '../../core/method/ladder/candidate.ts';
import type { ArtifactStore } from '../../src/platform/artifacts/artifact-store.ts';
import { registerArtifact } from '../../src/platform/artifacts/index.ts';
import { withTransaction, type Database } from '../../src/platform/database/database.ts';
import { carriedFeatures } from '../../src/fleet/adapters/index.ts';
import type { CandidateColumns, JobLifecycle, JobLease } from '../../src/fleet/job-control/index.ts';
import type { JobAnchor } from './anchors/anchor.repository.ts';
import { adaptationRepository, certificateColumn, type LoadedJob } from './adaptation.repository.ts';

export interface PublicationContext {
  db: Database;
  artifacts: ArtifactStore;
  lifecycle: JobLifecycle;
  lease: JobLease;
  job: LoadedJob;
  /** Adapter version against which the gate measured the allowed loss; null if the gate has no margin. */
  anchor: JobAnchor | null;
}

/**
 * Publishes a candidate: first it stores the files, then one transaction creates the version that refers to them and
 * makes the job ready. If the process dies in between, nothing refers to the files, and the next attempt publishes them
 * again.
 * @returns the id of the adapter version
 */
export async function publishCandidate(
  context: PublicationContext,
  { folder, candidate, rows, outcomes, slices, flips }: Publication,
): Promise<string> {
  const { artifacts, lifecycle, lease, job, anchor } = context;
  await lifecycle.advancePhase(lease, 'publish');
  const config = await readAdapterConfig(folder);
  const { rank, alpha } = config;
  const stored = await artifacts.putFolder(folder, 'adapter');
  return lifecycle.publish(lease, candidateColumns(candidate), async (tx) => {
    await registerArtifact(tx, artifacts, stored);
    return adaptationRepository.insertVersion(tx, job, {
      digest: stored.digest,
      rank,
      loraAlpha: alpha,
      servedFeatures: carriedFeatures(job.sourceVersion.servedFeatures, config),
      candidate,
      rows,
      outcomes,
      slices,
      anchor,
      flips,
    });
  });
}

/**
 * Stores the best candidate of a job that did not reach its target, without making it a version.
 * @returns the digest of its folder
 */
export async function keepCandidate(
  context: Pick<PublicationContext, 'db' | 'artifacts'>,
  folder: string,
): Promise<string> {
  const stored = await context.artifacts.putFolder(folder, 'adapter');
  await withTransaction(context.db, (tx) => registerArtifact(tx, context.artifacts, stored));
  return stored.digest;
}

/** Converts a candidate's strategy, fusion coefficients, metric and certificate to columns of its job's row. */
export function candidateColumns({
  strategy,
  alpha: fusionAlpha,
  beta: fusionBeta,
  metric,
  certificate,
}: CandidateRecord): CandidateColumns {
  return { strategy, fusionAlpha, fusionBeta, value: metric.value, certificate: certificateColumn(certificate) };
}
