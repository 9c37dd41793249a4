import { mkdir, rm } from 'node:fs/promises';
import { runAdaptation } from '../../../core/adaptation/run-adaptation.ts';
import { inLookOrder } from '../../../core/data/look-order.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import type { CellItem } from '../plan/items.ts';
import { isMachineFault } from '../run/machine-fault.ts';
import { nameOf } from '../plan/tenant-spec.ts';
import type { CellRecord, Measured, TestScore } from '../records.ts';
import { jobSpec, parentOf } from './job-spec.ts';
import { JobWatch } from './job-watch.ts';
import type { Laboratory } from './laboratory.ts';
import type { Tenant, TenantData } from './tenant.ts';
import { rowScores, scoreOnTest } from './test-score.ts';
import { warmUp } from './warm-up.ts';

/**
 * Runs one adaptation job as a warm training process would, then scores its published versions on the test rows. A job
 * that was killed starts again from its beginning: the sum of two attempts' times would not be the time of a job.
 * @returns its record, also for a job that failed by an error
 * @throws Error if the machine is at fault
 */
export async function measureCell(laboratory: Laboratory, item: CellItem): Promise<Measured<CellRecord>> {
  const watch = new JobWatch();
  const place = placeOf(item, parentOf(laboratory, item));
  try {
    const tenant = await laboratory.tenant(item.tenant);
    const data = await laboratory.data(tenant);
    const warmUpMs = await warmUp(laboratory, item, { tenant, data });
    const workDir = await laboratory.workDir();
    await mkdir(workDir, { recursive: true });
    try {
      return { ...place, ...(await runJob(laboratory, item, { tenant, data, workDir, watch, warmUpMs })) };
    } finally {
      await rm(workDir, { recursive: true, force: true });
    }
  } catch (error) {
    laboratory.options.signal.throwIfAborted();
    if (isMachineFault(error)) throw error;
    return { ...place, ...failedJob(watch, error) };
  }
}

/** Makes the record of a job whose attempts all killed the process. Nothing is known of it, not even its time. */
export function killedJob(laboratory: Laboratory, item: CellItem): Measured<CellRecord> {
  const error = new Error('the process was killed while it ran this job, each time that it was run');
  return { ...placeOf(item, parentOf(laboratory, item)), ...failedJob(new JobWatch(), error) };
}

/** Result of a job, without its place. */
type Ended = Omit<Measured<CellRecord>, keyof ReturnType<typeof placeOf>>;

interface Prepared {
  readonly tenant: Tenant;
  readonly data: TenantData;
  readonly workDir: string;
  readonly watch: JobWatch;
  readonly warmUpMs: number;
}

async function runJob(
  laboratory: Laboratory,
  item: CellItem,
  { tenant, data, workDir, watch, warmUpMs }: Prepared,
): Promise<Ended> {
  const { bases, signal, versions } = laboratory.options;
  const { spec, oldMs } = await jobSpec(laboratory, item, { tenant, workDir });
  const outcome = await watch.time(() => runAdaptation(bases, spec, watch.onEvent, signal));
  // In the product a cancelled job ends without an error. Here the cancellation ends the run.
  signal.throwIfAborted();
  const { target, baselines, best, ladder, steps, phases, readyMs, tokens, problem } = outcome;
  const [first = null] = watch.published;
  const published = watch.published.at(-1);
  const old = spec.oldOutcomes ?? watch.old?.outcomes;
  if (item.isParent && published !== undefined) await versions.keep(item.key, published);
  return {
    state: outcome.state === 'ready' ? 'ready' : 'not_ready',
    ...{ target, baselines, best, ladder, steps, phases, readyMs, tokens, problem },
    ...timesOf(watch),
    warmUpMs,
    ...(oldMs !== null && { oldMs }),
    ...(old && { old: rowScores(spec.metric, inLookOrder(old.values)) }),
    // Without a publication, the job ends with its best candidate.
    ...(await scoreVersions(laboratory, item, { data, first, last: published ?? outcome.candidateFolder })),
  };
}

function failedJob(watch: JobWatch, error: unknown): Ended {
  return {
    state: 'failed',
    ...timesOf(watch),
    warmUpMs: 0,
    first: null,
    final: null,
    error: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
  };
}

function placeOf({ tenant, evolution, rows, draw, strategy }: CellItem, parent: CellItem | null) {
  return {
    type: 'cell' as const,
    ...nameOf(tenant),
    ...{ evolution: evolution.name, rows, draw: draw?.number, strategy: strategy.name },
    carriedFrom: parent?.evolution.name ?? null,
  };
}

function timesOf({ elapsedMs, candidates, search }: JobWatch) {
  return { elapsedMs, candidates, search };
}

interface Versions {
  readonly data: TenantData;
  /** Folder of the version that was published first, or null. */
  readonly first: string | null;
  /** Folder of the version or candidate at the end of the job, or null. */
  readonly last: string | null;
}

async function scoreVersions(
  laboratory: Laboratory,
  { tenant, evolution }: CellItem,
  { data, first, last }: Versions,
): Promise<{ readonly first: TestScore | null; readonly final: TestScore | null }> {
  const base = await laboratory.newBase(evolution);
  const score = async (folder: string | null): Promise<TestScore | null> => {
    if (folder === null) return null;
    const adapter = await loadAdapter(folder, base.model.config);
    const options = { metric: tenant.task.metric, signal: laboratory.options.signal };
    return laboratory.testScore({ tenant, evolution, adapter }, () => scoreOnTest(base, adapter, data, options));
  };
  const atReadiness = await score(first);
  return { first: atReadiness, final: last === first ? atReadiness : await score(last) };
}
