import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { writeFileAtomic } from '../../core/formats/atomic-file.ts';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import { runAdaptation } from '../../core/adaptation/adaptation.ts';
import { measure } from '../../core/data/evaluation.ts';
import { accumulateGradients } from '../../core/training/gradients.ts';
import type { JobListener } from '../../core/adaptation/job-listener.ts';
import type { AdaptOutcome, GateOutcomes, JobSpec } from '../../workers/training/protocol.ts';
import type { CellItem } from '../plan.ts';
import type { JudgedCandidate, SearchPoint, TestScore } from '../records.ts';
import type { Lab, Measured } from './lab.ts';
import { nameOf } from './lab.ts';
import { firstRows, type Tenant, type TenantData } from './tenant.ts';
import { scoreOnTest } from './test-score.ts';

/** Rows that a warm-up evaluates, and rows of the step that it takes. */
const WARM_UP_ROWS = 16;

/**
 * Runs one adaptation job as a warm training process would, then scores what it published on the test rows. A job that
 * was killed is run again from its beginning, for a time that was put together would be none.
 */
export async function runCell(lab: Lab, item: CellItem): Promise<Measured> {
  const tenant = await lab.tenant(item.tenant);
  const data = await lab.data(tenant);
  const warmUpMs = await warmUp(lab, item, { tenant, data });
  const workDir = await lab.workDir();
  await mkdir(workDir, { recursive: true });
  try {
    const plain = await jobSpec(lab, item, { tenant, workDir });
    const spec = item.strategy.known_old
      ? { ...plain, old: await lab.oldOutcomes(item.tenant, () => measureOld(lab, plain)) }
      : plain;
    const watch = new JobWatch();
    const name = {
      type: 'cell' as const,
      ...nameOf(item.tenant),
      evolution: item.evolution.name,
      rows: item.rows,
      strategy: item.strategy.name,
    };
    const outcome = await watch.time(() =>
      runAdaptation(lab.options.bases, spec, watch.listener, lab.options.signal),
    );
    // The product ends a cancelled job in peace; here that ends the run.
    lab.options.signal.throwIfAborted();
    const { elapsedMs, candidates, search } = watch;
    const scores = await scorePublished(lab, item, { data, folders: publishedFolders(watch, outcome) });
    const { target, baselines, best, ladder, steps, phases, readyMs, tokens, problem } = outcome;
    const figures = { target, baselines, best, ladder, steps, phases, readyMs, tokens, problem };
    const state = outcome.state === 'ready' ? 'ready' : 'not_ready';
    return { ...name, state, ...figures, elapsedMs, warmUpMs, candidates, search, ...scores };
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

async function jobSpec(
  lab: Lab,
  item: CellItem,
  { tenant, workDir }: { readonly tenant: Tenant; readonly workDir: string },
): Promise<JobSpec> {
  const train = path.join(workDir, 'train.jsonl');
  await writeFileAtomic(train, await firstRows(tenant, item.rows));
  return {
    jobId: item.key,
    kind: 'adaptation',
    oldBase: lab.options.base,
    newBase: item.evolution.base,
    adapter: tenant.adapter,
    data: { train, validation: tenant.validation },
    metric: item.tenant.task.metric,
    gate: item.gate,
    evolution: await lab.evolutionFolder(item.evolution),
    options: { ...item.strategy.options, seed: item.tenant.seed },
    workDir,
    baselines: 'needed',
    fleet: item.strategy.fleet ? lab.earlierSearches(item) : [],
  };
}

/** What the service keeps of the old version from its publication, by a job that needs nothing else. */
async function measureOld(lab: Lab, spec: JobSpec): Promise<GateOutcomes | null> {
  const watch = new JobWatch();
  const options = { strategy: 'reuse' } as const;
  await runAdaptation(
    lab.options.bases,
    { ...spec, options, workDir: path.join(spec.workDir, 'old') },
    watch.listener,
    lab.options.signal,
  );
  return watch.old;
}

/**
 * Loads both bases and has their programs compiled, once a process for each task, adapter and evolution: the service's
 * training process has them warm, so that no strategy pays for being the first.
 */
async function warmUp(
  lab: Lab,
  { tenant: spec, evolution }: CellItem,
  { tenant, data }: { readonly tenant: Tenant; readonly data: TenantData },
): Promise<number> {
  const begun = performance.now();
  const old = await lab.oldBase;
  const next = await lab.base(evolution);
  if (!lab.isCold(`${evolution.name} ${spec.task.name} ${spec.recipe.name}`)) return performance.now() - begun;
  const adapter = await loadAdapter(tenant.adapter, next.model.config);
  const options = { metric: spec.task.metric, choices: data.choices };
  for (const { runtime } of [old, next]) {
    await measure(runtime, adapter, data.test.slice(0, WARM_UP_ROWS), options);
    await measure(runtime, adapter, data.test.slice(0, WARM_UP_ROWS), { ...options, metric: 'loss' });
  }
  await accumulateGradients(next.runtime, adapter, data.train.slice(0, WARM_UP_ROWS));
  return performance.now() - begun;
}

/** Hears of everything that a job does, and when. */
class JobWatch {
  readonly candidates: JudgedCandidate[] = [];
  readonly search: SearchPoint[] = [];
  readonly folders: string[] = [];
  /** Of the old version on the old base; null where nobody asked. */
  old: GateOutcomes | null = null;
  elapsedMs = 0;
  #begun = performance.now();

  async time(job: () => Promise<AdaptOutcome>): Promise<AdaptOutcome> {
    this.#begun = performance.now();
    const outcome = await job();
    this.elapsedMs = performance.now() - this.#begun;
    return outcome;
  }

  readonly listener: JobListener = {
    phase: () => undefined,
    progress: () => undefined,
    metrics: () => undefined,
    baselines: () => undefined,
    old: (outcomes) => void (this.old = outcomes),
    event: (event) => {
      const at = performance.now() - this.#begun;
      if (event.type === 'search') {
        const { alpha, beta, rows, loss, ms } = event.evaluation;
        this.search.push({ at, alpha, beta, rows, loss, ms });
      }
      if (event.type === 'candidate') {
        const { id, strategy, alpha, beta, step, passed, metric } = event.candidate;
        this.candidates.push({ at, id, strategy, alpha, beta, step, passed, value: metric.value });
      }
    },
    publish: (_sequence, dir) => {
      this.folders.push(dir);
      return Promise.resolve();
    },
  };
}

/** First and last; the best candidate stands for both where none was published. */
function publishedFolders(
  { folders }: JobWatch,
  { candidateDir }: AdaptOutcome,
): { first: string | null; last: string | null } {
  return { first: folders[0] ?? null, last: folders.at(-1) ?? candidateDir };
}

async function scorePublished(
  lab: Lab,
  { tenant, evolution }: CellItem,
  {
    data,
    folders: { first, last },
  }: { readonly data: TenantData; readonly folders: ReturnType<typeof publishedFolders> },
): Promise<{ first: TestScore | null; final: TestScore | null }> {
  const base = await lab.base(evolution);
  const score = async (folder: string): Promise<TestScore> => {
    const adapter = await loadAdapter(folder, base.model.config);
    return scoreOnTest(base, adapter, data, { metric: tenant.task.metric, signal: lab.options.signal });
  };
  const atReadiness = first === null ? null : await score(first);
  if (last === first) return { first: atReadiness, final: atReadiness };
  return { first: atReadiness, final: last === null ? null : await score(last) };
}
