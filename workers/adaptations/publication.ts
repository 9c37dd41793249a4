import { registerArtifact } from '../../src/artifacts/index.ts';
import type { ArtifactStore } from '../../src/artifacts/artifact-store.ts';
import { withTransaction, type Database } from '../../src/lib/database.ts';
import type { CandidateColumns, JobLifecycle, Lease } from '../../src/modules/jobs/index.ts';
import { readAdapterConfig } from '../../core/formats/peft/peft-config.ts';
import type { Candidate, GateOutcomes } from '../training/protocol.ts';
import { adaptationRepository, type LoadedJob } from './adaptation.repository.ts';

export interface PublicationContext {
  db: Database;
  artifacts: ArtifactStore;
  lifecycle: JobLifecycle;
  lease: Lease;
  job: LoadedJob;
}

/**
 * Publishes a candidate: first its bytes, then, in one transaction, the version that names them and the job's
 * readiness. A process that dies in between leaves bytes that nothing names, and the next try publishes them again.
 */
export async function publishCandidate(
  context: PublicationContext,
  {
    dir,
    candidate,
    outcomes,
  }: { readonly dir: string; readonly candidate: Candidate; readonly outcomes: GateOutcomes },
): Promise<string> {
  const { artifacts, lifecycle, lease, job } = context;
  await lifecycle.advancePhase(lease, 'publish');
  const { rank, alpha } = await readAdapterConfig(dir);
  const stored = await artifacts.putFolder(dir, 'adapter');
  return lifecycle.publish(lease, columnsOf(candidate), async (tx) => {
    await registerArtifact(tx, artifacts, stored);
    return adaptationRepository.insertVersion(tx, job, {
      digest: stored.digest,
      rank,
      loraAlpha: alpha,
      candidate,
      outcomes,
    });
  });
}

/** Keeps the best candidate of a job that did not reach its target, without making it a version. @returns its digest. */
export async function keepCandidate(context: PublicationContext, dir: string): Promise<string> {
  const stored = await context.artifacts.putFolder(dir, 'adapter');
  await withTransaction(context.db, (tx) => registerArtifact(tx, context.artifacts, stored));
  return stored.digest;
}

export function columnsOf(candidate: Candidate): CandidateColumns {
  const { strategy, alpha: fusionAlpha, beta: fusionBeta, value } = candidate;
  return { strategy, fusionAlpha, fusionBeta, value };
}
