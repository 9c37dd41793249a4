import path from 'node:path';
import type { ArtifactStore } from '../../src/artifacts/artifact-store.ts';
import { PermanentError } from '../../src/jobs/index.ts';
import type { Queryable } from '../../src/lib/database.ts';
import type { StoredOptions } from '../../src/modules/rollouts/index.ts';
import type { GateRule } from '../../core/method/gate/readiness-gate.ts';
import {
  METRICS,
  STRATEGIES,
  type AdaptOptions,
  type GateSpec,
  type JobSpec,
  type MetricName,
  type Strategy,
} from '../training/protocol.ts';
import { adaptationRepository, type LoadedJob } from './adaptation.repository.ts';

export interface JobFolders {
  artifacts: ArtifactStore;
  /** Parent of the jobs' own folders, on durable storage. */
  checkpoints: string;
}

/** The folder in which a job's checkpoints live. */
export function workDirOf(checkpoints: string, jobId: string): string {
  return path.join(checkpoints, jobId);
}

/** What the training process has to know, with every artifact as a path. @throws PermanentError if the row cannot be meant. */
export async function buildJobSpec(db: Queryable, job: LoadedJob, folders: JobFolders): Promise<JobSpec> {
  const { artifacts } = folders;
  const { adapter, rollout, sourceVersion } = job;
  if (adapter.dataset === null)
    throw new PermanentError(`adapter ${adapter.id} has no dataset`, { code: 'dataset_missing' });
  const evolution = await adaptationRepository.evolution(
    db,
    sourceVersion.baseModelVersionId,
    rollout.baseModelVersionId,
  );
  const digest = evolution?.state === 'ready' ? evolution.artifactDigest : null;
  return {
    jobId: job.id,
    kind: job.kind,
    oldBase: sourceVersion.baseModelVersion.path,
    newBase: rollout.baseModelVersion.path,
    adapter: await artifacts.localPath(sourceVersion.artifactDigest),
    data: { file: await artifacts.localPath(adapter.dataset.artifactDigest) },
    metric: oneOf<MetricName>(METRICS, job.metricName, `metric of job ${job.id}`),
    gate: toGateSpec(adapter.gate as unknown as StoredGate),
    evolution: digest === null ? null : await artifacts.localPath(digest),
    options: adaptOptions(job, rollout.options as StoredOptions),
    fleet: await adaptationRepository.fleetSearches(db, job),
    old: await adaptationRepository.oldOutcomes(db, job),
    workDir: workDirOf(folders.checkpoints, job.id),
    parent: job.sourceVersionId,
  };
}

/** As the API takes it. */
type StoredGate = GateRule & { readonly max_negative_flips?: number };

function toGateSpec({ max_negative_flips: maxNegativeFlips, ...rule }: StoredGate): GateSpec {
  return { ...rule, ...(maxNegativeFlips === undefined ? {} : { maxNegativeFlips }) };
}

/** A rollout's options by their names in the training process; those of the fleet's schedule are none of its business. */
export function adaptOptions(job: Pick<LoadedJob, 'id' | 'strategy'>, options: StoredOptions): AdaptOptions {
  return {
    strategy: oneOf<Strategy>(STRATEGIES, job.strategy, `strategy of job ${job.id}`),
    prefer: options.prefer,
    maxSteps: options.max_steps,
    batchSize: options.batch_size,
    learningRate: options.learning_rate,
    evaluateEvery: options.evaluate_every,
    searchEvaluations: options.search_evaluations,
    searchRows: options.search_rows,
    coefficients: options.coefficients,
    grouping: options.grouping,
    fusionRank: options.fusion_rank,
    fusionEnergy: options.fusion_energy,
    refineSteps: options.refine_steps,
    patience: options.patience,
    regularizeTowards: options.regularize_towards,
    regularizeSpace: options.regularize_space,
    regularizeSchedule: options.regularize_schedule,
    regularizeStrength: options.regularize_strength,
    seed: options.seed,
  };
}

function oneOf<T extends string>(legal: readonly T[], found: string, what: string): T {
  const value = legal.find((one) => one === found);
  if (value === undefined)
    throw new PermanentError(`${what} is ${found}, expected one of ${legal.join(', ')}`, { code: 'invalid_job' });
  return value;
}
