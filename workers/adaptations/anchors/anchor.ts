import type { AnchorSpec } from '../../../core/adaptation/job-spec.ts';
import type { CountedFrom } from '../../../core/adaptation/measurements/gate-outcomes.ts';
import type { GateRule } from '../../../core/options/gates.ts';
import type { ArtifactStore } from '../../../src/platform/artifacts/artifact-store.ts';
import { locateVerified } from '../../../src/platform/artifacts/index.ts';
import type { Queryable } from '../../../src/platform/database/database.ts';
import { AppError } from '../../../src/platform/contract/errors.ts';
import { BaseElsewhereError, isReadable, type NeededBase } from '../../bases/base-availability.ts';
import { FOLDERS_ONLY, type LocalBases } from '../../bases/local-bases.ts';
import { anchorRepository, type AnchorVersion, type JobAnchor } from './anchor.repository.ts';
import type { LoadedJob } from '../adaptation.repository.ts';

/**
 * Anchor of a job, as the training process gets it: the imported version, against which the gate measures the allowed
 * loss.
 */
export interface JobAnchorSpec {
  readonly spec: AnchorSpec;
  /**
   * Base that the anchor was made for, if this worker can read the anchor's files but not this base; otherwise null.
   */
  readonly missingBase: NeededBase | null;
}

/**
 * Describes for the training process the anchor of a job: the imported version, against which the gate measures the
 * allowed loss. Null if the gate is absolute, or if the version to carry over is the imported one itself.
 * @throws AppError `artifact_corrupt` or `storage_away`
 */
export async function buildAnchorSpec(
  db: Queryable,
  job: LoadedJob,
  { artifacts, local = FOLDERS_ONLY }: { readonly artifacts: ArtifactStore; readonly local?: LocalBases },
): Promise<JobAnchorSpec | null> {
  const { anchorVersionId, number: oldNumber } = job.sourceVersion;
  const { kind } = job.adapter.gate as unknown as GateRule;
  if (kind === 'absolute' || anchorVersionId === null || anchorVersionId === job.sourceVersionId) return null;
  const version = await anchorRepository.version(db, anchorVersionId);
  const kept = await anchorRepository.outcomes(db, anchorVersionId);
  const adapter = version === null ? null : await locate(db, artifacts, version);
  const base = version === null ? null : local.locate(version.baseModelVersion);
  const isBaseThere = base !== null && (await isReadable(base));
  const source = adapter !== null && isBaseThere ? { base: base.path, adapter } : null;
  // As for the old version, outcomes measured after the rollout was accepted do not count, unless they cannot be
  // measured again.
  const isEarlier = kept !== null && (kept.measuredAt < job.rollout.acceptedAt || source === null);
  const number = version?.number ?? kept?.number ?? null;
  return {
    spec: { number, oldNumber, outcomes: isEarlier ? kept.outcomes : null, source },
    missingBase: adapter !== null && !isBaseThere ? base : null,
  };
}

/** Finds the folder with the files of the anchor's adapter; null if the files are gone. */
async function locate(
  db: Queryable,
  artifacts: ArtifactStore,
  { artifactDigest }: AnchorVersion,
): Promise<string | null> {
  try {
    return await locateVerified(db, artifacts, artifactDigest);
  } catch (error) {
    if (error instanceof AppError && error.code === 'artifact_missing') return null;
    throw error;
  }
}

/**
 * Leaves a job to another worker if only this worker lacks the base on which the job has to measure its anchor. If no
 * other worker can be expected to read that base, the job goes on, and its margin counts from the old version instead.
 * @throws BaseElsewhereError
 */
export async function requireAnchor(
  {
    db,
    anchorSpec,
    workerId,
  }: { readonly db: Queryable; readonly anchorSpec: JobAnchorSpec | null; readonly workerId: string | null },
  { version }: Pick<CountedFrom, 'version'>,
): Promise<void> {
  const missing = anchorSpec?.missingBase ?? null;
  if (version === 'anchor' || missing === null) return;
  if (await anchorRepository.othersMayRead(db, missing.id, workerId)) throw new BaseElsewhereError(missing);
}

/**
 * Converts the version that a job's margin counts from (the anchor or, in its place, the old version) to what the
 * database stores.
 */
export function toJobAnchor(job: LoadedJob, spec: AnchorSpec | null, found: CountedFrom): JobAnchor {
  const { anchorVersionId, number } = job.sourceVersion;
  const { value, outcomes } = found;
  if (found.version === 'anchor' && spec !== null && anchorVersionId !== null) {
    return { versionId: anchorVersionId, number: spec.number, value, outcomes, insteadOf: null };
  }
  const insteadOf = spec === null ? null : anchorVersionId;
  return { versionId: job.sourceVersionId, number, value, outcomes: null, insteadOf };
}
