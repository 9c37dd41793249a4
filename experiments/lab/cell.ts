import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { GateOutcomes } from '../../core/adaptation/measurements/gate-outcomes.ts';
import type { JobSpec } from '../../core/adaptation/job-spec.ts';
import { runAdaptation } from '../../core/adaptation/run-adaptation.ts';
import { writeFileAtomic } from '../../core/formats/atomic-file.ts';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import { nameOf, type CellItem } from '../plan.ts';
import type { CellRecord, Measured, TestScore } from '../records.ts';
import { JobWatch } from './job-watch.ts';
import type { Laboratory } from './laboratory.ts';
import { firstRows, toJsonl, type Tenant, type TenantData } from './tenant.ts';
import { drawRows } from './tenant-rows.ts';
import { scoreOnTest } from './test-score.ts';
import { warmUp } from './warm-up.ts';

/**
 * Runs one adaptation job as a warm training process would, then scores what it published on the test rows. A job that
 * was killed starts again from its beginning: the sum of two attempts' times would not be the time of a job.
 */
export async function measureCell(laboratory: Laboratory, item: CellItem): Promise<Measured<CellRecord>> {
  const { bases, signal } = laboratory.options;
  const tenant = await laboratory.tenant(item.tenant);
  const data = await laboratory.data(tenant);
  const warmUpMs = await warmUp(laboratory, item, { tenant, data });
  const workDir = await laboratory.workDir();
  await mkdir(workDir, { recursive: true });
  try {
    const spec = await jobSpec(laboratory, item, { tenant, workDir });
    const measureOld = (): Promise<GateOutcomes | null> => measureOldVersion(laboratory, spec);
    const oldOutcomes = item.strategy.known_old ? await laboratory.oldOutcomes(item, measureOld) : undefined;
    const watch = new JobWatch();
    const outcome = await watch.time(() => runAdaptation(bases, { ...spec, oldOutcomes }, watch.onEvent, signal));
    // A cancelled job ends without an error in the product; here it ends the run.
    signal.throwIfAborted();
    const { target, baselines, best, ladder, steps, phases, readyMs, tokens, problem } = outcome;
    const { elapsedMs, candidates, search, published } = watch;
    // Without a publication, the best candidate is what the job ends with.
    const last = published.at(-1) ?? outcome.candidateFolder;
    return {
      type: 'cell',
      ...nameOf(item.tenant),
      evolution: item.evolution.name,
      rows: item.rows,
      draw: item.draw?.number,
      strategy: item.strategy.name,
      state: outcome.state === 'ready' ? 'ready' : 'not_ready',
      ...{ target, baselines, best, ladder, steps, phases, readyMs, tokens, problem },
      ...{ elapsedMs, warmUpMs, candidates, search },
      ...(await scoreVersions(laboratory, item, { data, first: published[0] ?? null, last })),
    };
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

async function jobSpec(
  laboratory: Laboratory,
  item: CellItem,
  { tenant, workDir }: { readonly tenant: Tenant; readonly workDir: string },
): Promise<JobSpec> {
  const train = path.join(workDir, 'train.jsonl');
  await writeFileAtomic(train, await firstRows(tenant, item.rows));
  return {
    jobId: item.key,
    kind: 'adaptation',
    oldBase: laboratory.options.base,
    newBase: item.evolution.base,
    adapter: tenant.adapter,
    data: { train, validation: await validationFile(item, { tenant, workDir }) },
    metric: item.tenant.task.metric,
    gate: item.gate,
    evolution: laboratory.evolutionFolder(item.evolution),
    options: { ...item.strategy.options, seed: item.tenant.seed },
    workDir,
    baselines: 'needed',
    fleetSearches: item.strategy.fleet ? laboratory.earlierSearches(item) : [],
  };
}

/** File of the rows that the job divides into search rows and gate rows. */
async function validationFile(
  { draw }: CellItem,
  { tenant, workDir }: { readonly tenant: Tenant; readonly workDir: string },
): Promise<string> {
  if (draw === undefined) return tenant.validation;
  const file = path.join(workDir, 'validation.jsonl');
  await writeFileAtomic(file, toJsonl(await drawRows(tenant.validation, tenant.spec, draw)));
  return file;
}

/** Measures what the service keeps of the old version from its publication, by the cheapest job that needs it. */
async function measureOldVersion({ options }: Laboratory, spec: JobSpec): Promise<GateOutcomes | null> {
  const watch = new JobWatch();
  const workDir = path.join(spec.workDir, 'old');
  await runAdaptation(
    options.bases,
    { ...spec, options: { strategy: 'reuse' }, workDir },
    watch.onEvent,
    options.signal,
  );
  return watch.old;
}

interface Versions {
  readonly data: TenantData;
  /** Folder of the version that was published first; null where none was. */
  readonly first: string | null;
  /** Folder of what the job ended with; null where it has no candidate. */
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
