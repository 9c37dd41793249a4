import { mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import type { JobEvent } from '../../../core/adaptation/job-events.ts';
import type { ArtifactStore } from '../../../src/platform/artifacts/artifact-store.ts';
import { createLogger } from '../../../src/lib/logger.ts';
import { adaptationRepository } from '../../../workers/adaptations/adaptation.repository.ts';
import { buildAnchorSpec } from '../../../workers/adaptations/anchors/anchor.ts';
import { buildJobSpec } from '../../../workers/adaptations/build-job-spec.ts';
import { createTrainingProcess, type TrainingProcess } from '../../../workers/training/training-process.ts';
import { factorsOf, sorted, type Measured } from './measured.ts';
import type { FaultStack } from './stack.ts';

/** Undisturbed runs of jobs, with which every job is compared. */
export interface Reference {
  /** Results of the job in a training process without faults. */
  of(jobId: string): Promise<Measured>;
  close(): Promise<void>;
}

export function createReference(
  stack: Pick<FaultStack, 'db' | 'family' | 'cacheDir'>,
  artifacts: ArtifactStore,
): Reference {
  const logger = createLogger({ level: 'silent', pretty: false });
  const training = createTrainingProcess({ logger, bases: { threads: 1, graphCacheDir: stack.cacheDir } });
  /** Cache by everything that determines a result. Rounds repeat jobs, so most of them run once. */
  const known = new Map<string, Promise<Measured>>();
  return {
    async of(jobId) {
      const job = await adaptationRepository.load(stack.db, jobId);
      if (job === null) throw new Error(`there is no job ${jobId}`);
      const workDir = await mkdtemp(path.join(stack.family.folder, 'reference-'));
      try {
        const anchor = await buildAnchorSpec(stack.db, job, { artifacts });
        const spec = { ...(await buildJobSpec(stack.db, job, { artifacts, workDir })), anchor: anchor?.spec ?? null };
        const { jobId: _, workDir: __, parent: ___, evolution: ____, adapter: _____, ...input } = spec;
        // The adapter's folder does not identify its content: jobs to later versions start from earlier publications.
        const key = JSON.stringify([input, job.sourceVersion?.artifactDigest]);
        const found = known.get(key) ?? run(training, { ...spec, baselines: 'all' });
        known.set(key, found);
        return await found;
      } finally {
        await rm(workDir, { recursive: true, force: true });
      }
    },
    close: () => training.stop(),
  };
}

async function run(training: TrainingProcess, spec: Awaited<ReturnType<typeof buildJobSpec>>): Promise<Measured> {
  const points: [string, number][] = [];
  const searches: number[][] = [];
  const factors: string[] = [];
  let trained = 0;
  let published: number | null = null;
  const onEvent = async (event: JobEvent): Promise<void> => {
    if (event.type === 'progress') trained = event.step;
    if (event.type === 'points')
      points.push(...event.points.map((p) => [`${p.name}@${p.step}`, p.value] as [string, number]));
    if (event.type === 'candidate') {
      const { id, step, metric } = event.candidate;
      const named = (what: string) => (step > 0 ? `gate_${what}@${trained}` : `${id}_${what}@0`);
      if (metric.available !== undefined) points.push([named('rows'), metric.rows]);
      points.push([named(metric.name), metric.value]);
    }
    if (event.type === 'watched') {
      const { step, metric } = event.watched;
      points.push([`watched_${metric.name}@${step > 0 ? trained : 0}`, metric.value]);
    }
    if (event.type === 'search') {
      const { alpha, beta, rows, loss } = event.evaluation;
      searches.push([alpha, beta, rows, loss]);
      points.push([`search_loss@${event.evaluations}`, loss]);
    }
    if (event.type === 'publication') {
      factors.push(await factorsOf(event.folder));
      published = event.candidate.metric.value;
    }
  };
  const slot = await training.acquire(new AbortController().signal);
  try {
    const outcome = await slot.adapt(spec, onEvent, new AbortController().signal);
    if (outcome.candidateFolder !== null) factors.push(await factorsOf(outcome.candidateFolder));
    const { best, baselines } = outcome;
    return {
      state: outcome.state,
      strategy: best?.strategy ?? null,
      alpha: best?.alpha ?? null,
      beta: best?.beta ?? null,
      best: published ?? best?.metric.value ?? null,
      ...baselines,
      steps: outcome.steps,
      precision: outcome.precision,
      points: sorted(points),
      searches,
      factors,
    };
  } finally {
    slot.release();
  }
}
