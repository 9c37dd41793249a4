import { access } from 'node:fs/promises';
import path from 'node:path';
import type { AnchorSpec } from '../../../core/adaptation/job-spec.ts';
import type { CountedFrom } from '../../../core/adaptation/measurements/gate-outcomes.ts';
import type { GateRule } from '../../../core/options/gates.ts';
import type { ArtifactStore } from '../../../src/artifacts/artifact-store.ts';
import { locateVerified } from '../../../src/artifacts/index.ts';
import type { Queryable } from '../../../src/lib/database.ts';
import { AppError } from '../../../src/lib/errors.ts';
import { anchorRepository, type AnchorVersion, type JobAnchor } from './anchor.repository.ts';
import type { LoadedJob } from '../adaptation.repository.ts';

/**
 * Collects what a job needs to count its margin from the imported version; null where that is the version which is carried over.
 * @throws AppError `artifact_corrupt` or `storage_away`
 */
export async function buildAnchorSpec(
  db: Queryable,
  job: LoadedJob,
  { artifacts }: { readonly artifacts: ArtifactStore },
): Promise<AnchorSpec | null> {
  const { anchorVersionId, number: oldNumber } = job.sourceVersion;
  const { kind } = job.adapter.gate as unknown as GateRule;
  if (kind === 'absolute' || anchorVersionId === null || anchorVersionId === job.sourceVersionId) return null;
  const version = await anchorRepository.version(db, anchorVersionId);
  const kept = await anchorRepository.outcomes(db, anchorVersionId);
  const source = version === null ? null : await locate(db, artifacts, version);
  // What the same rollout has measured does not count, as for the old version, unless it cannot be measured again.
  const isEarlier = kept !== null && (kept.measuredAt < job.rollout.acceptedAt || source === null);
  return {
    number: version?.number ?? kept?.number ?? null,
    oldNumber,
    outcomes: isEarlier ? kept.outcomes : null,
    source,
  };
}

/** Where the version can be measured; null if its bytes or the folder of its base are not there. */
async function locate(
  db: Queryable,
  artifacts: ArtifactStore,
  { artifactDigest, baseModelVersion }: AnchorVersion,
): Promise<AnchorSpec['source']> {
  const base = baseModelVersion.path;
  const isThere = await access(path.join(base, 'config.json')).then(
    () => true,
    () => false,
  );
  if (!isThere) return null;
  try {
    return { base, adapter: await locateVerified(db, artifacts, artifactDigest) };
  } catch (error) {
    if (error instanceof AppError && error.code === 'artifact_missing') return null;
    throw error;
  }
}

/** Converts what a job has told to what its rows keep. */
export function toJobAnchor(job: LoadedJob, spec: AnchorSpec | null, found: CountedFrom): JobAnchor {
  const { anchorVersionId, number } = job.sourceVersion;
  const { value, outcomes } = found;
  if (found.version === 'anchor' && spec !== null && anchorVersionId !== null) {
    return { versionId: anchorVersionId, number: spec.number, value, outcomes, insteadOf: null };
  }
  const insteadOf = spec === null ? null : anchorVersionId;
  return { versionId: job.sourceVersionId, number, value, outcomes: null, insteadOf };
}
