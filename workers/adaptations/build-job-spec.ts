import type { JobSpec } from '../../core/adaptation/job-spec.ts';
import type { GateRule } from '../../core/options/gates.ts';
import { JobOptions, STRATEGIES, type GivenJobOptions } from '../../core/options/job-options.ts';
import { servedFusionRank } from '../../core/formats/peft/serving-rules.ts';
import { judgesRows, METRICS } from '../../core/options/metrics.ts';
import type { ServingProfile } from '../../core/options/serving-profile.ts';
import type { ArtifactStore } from '../../src/platform/artifacts/artifact-store.ts';
import { locateArtifact, locateVerified } from '../../src/platform/artifacts/index.ts';
import { PermanentError } from '../../src/platform/queue/index.ts';
import type { Queryable } from '../../src/platform/database/database.ts';
import type { StoredOptions } from '../../src/fleet/rollouts/index.ts';
import { FOLDERS_ONLY, type LocalBases } from '../bases/local-bases.ts';
import { requireServable } from './serving-check.ts';
import { adaptationRepository, type LoadedJob } from './adaptation.repository.ts';

export interface JobFolders {
  artifacts: ArtifactStore;
  /** Folder on durable storage in which each job has a folder for its checkpoints. */
  checkpoints: string;
  /** Access to the files of bases on this worker. Default: every base is in the folder that its database row names. */
  local?: LocalBases;
  /** Largest number of tokens spent on one measurement of an adapter. Default: no limit. */
  measuredTokens?: number;
}

/**
 * Builds the specification of a job for the training process, with every artifact as a path.
 * @param workDir the folder of the attempt
 * @throws PermanentError if the row cannot describe a job, or `adapter_not_servable`; AppError `artifact_missing`,
 * `artifact_corrupt` or `storage_away`
 */
export async function buildJobSpec(
  db: Queryable,
  job: LoadedJob,
  { artifacts, local = FOLDERS_ONLY, measuredTokens, workDir }: Omit<JobFolders, 'checkpoints'> & { workDir: string },
): Promise<JobSpec> {
  const { adapter, rollout, sourceVersion } = job;
  if (adapter.dataset === null) {
    throw new PermanentError(
      `adapter ${adapter.id} has no dataset: give it one with PATCH /v1/adapters/{id}, then start the rollout again`,
      {
        code: 'dataset_missing',
      },
    );
  }
  const evolution = await adaptationRepository.evolution(
    db,
    sourceVersion.baseModelVersionId,
    rollout.baseModelVersionId,
  );
  const digest = evolution?.state === 'ready' ? evolution.artifactDigest : null;
  const { baseModel } = rollout.baseModelVersion;
  const source = {
    oldBase: local.locate(sourceVersion.baseModelVersion).path,
    adapter: await locateVerified(db, artifacts, sourceVersion.artifactDigest),
  };
  await requireServable(baseModel, source);
  const options: GivenJobOptions = {
    ...jobOptionsOf(rollout.options as Record<string, unknown>),
    ...jobOptionsOf((job.ownOptions ?? {}) as Record<string, unknown>),
    strategy: oneOf(STRATEGIES, job.strategy, `strategy of job ${job.id}`),
  };
  return {
    jobId: job.id,
    kind: job.kind,
    ...source,
    newBase: local.locate(rollout.baseModelVersion).path,
    newBaseName: rollout.baseModelVersion.servingName,
    data: { file: await locateVerified(db, artifacts, adapter.dataset.artifactDigest) },
    metric: oneOf(METRICS, job.metricName, `metric of job ${job.id}`),
    ...gateSpecOf(adapter, measuredTokens),
    evolution: digest === null ? null : await locateArtifact(db, artifacts, digest),
    options: withinProfile(options, baseModel.servingProfile as ServingProfile | null),
    oldOutcomes: await adaptationRepository.oldOutcomes(db, job),
    workDir,
    parent: job.sourceVersionId,
    baselines: 'needed',
    ...measuredOld(job),
  };
}

/**
 * Decides whether a job measures the old adapter even if its gate does not need that, and whether it does so before or
 * after its candidates. The measurement is needed at the job's end if a pause condition of the rollout compares with
 * the old adapter.
 */
function measuredOld({ kind, metricName, rollout }: LoadedJob): Pick<JobSpec, 'measuresOld'> {
  const { negative_flips: flips, metric_drop: drop } = (rollout.options as StoredOptions).policy?.pause_if ?? {};
  const metric = METRICS.find((name) => name === metricName) ?? 'loss';
  if (kind === 'control' || metric === 'loss') return {};
  if (flips !== undefined && judgesRows(metric)) return { measuresOld: 'before' };
  return drop === undefined ? {} : { measuresOld: 'after' };
}

/** Lowers the rank of fused adapters to the largest one that the engines of the base model serve. */
function withinProfile(options: GivenJobOptions, profile: ServingProfile | null): GivenJobOptions {
  const { fusion_rank: wanted } = options;
  return wanted === undefined ? options : { ...options, fusion_rank: servedFusionRank(wanted, profile) };
}

/** Gate and row format of an adapter: the part of a specification that jobs and measurements share. */
export function gateSpecOf(
  { gate, appendEos, maxLength }: Pick<LoadedJob['adapter'], 'gate' | 'appendEos' | 'maxLength'>,
  measuredTokens?: number,
): Pick<JobSpec, 'gate' | 'measuredTokens' | 'adapterOptions'> {
  return {
    gate: gate as unknown as GateRule,
    ...(measuredTokens !== undefined && { measuredTokens }),
    adapterOptions: { append_eos: appendEos, ...(maxLength !== null && { max_length: maxLength }) },
  };
}

/** Picks a rollout's job options; its other options plan the fleet and do not concern a job. */
export function jobOptionsOf(options: Readonly<Record<string, unknown>>, table: object = JobOptions.properties) {
  return Object.fromEntries(Object.entries(options).filter(([name]) => name in table)) as GivenJobOptions;
}

/**
 * Returns the text `found` if it is a legal value.
 * @throws PermanentError if it is not
 */
export function oneOf<T extends string>(legal: readonly T[], found: string, what: string): T {
  const value = legal.find((one) => one === found);
  if (value !== undefined) return value;
  throw new PermanentError(`${what} is ${found}, expected one of ${legal.join(', ')}`, { code: 'invalid_job' });
}
