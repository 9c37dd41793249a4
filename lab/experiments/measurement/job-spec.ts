import path from 'node:path';
import type { JobSpec } from '../../../core/adaptation/job-spec.ts';
import { runAdaptation } from '../../../core/adaptation/run-adaptation.ts';
import { writeFileAtomic } from '../../../core/formats/atomic-file.ts';
import type { CellItem } from '../plan/items.ts';
import { JobWatch, type MeasuredOld } from './job-watch.ts';
import type { Laboratory } from './laboratory.ts';
import { firstRows, toJsonl, type Tenant } from './tenant.ts';
import { drawRows } from './tenant-rows.ts';

/** Finds the latest earlier job in the chain that was ready. This job carries its published adapter over. */
export function parentOf(laboratory: Laboratory, item: CellItem): CellItem | null {
  for (let job = item.parent; job !== undefined; job = job.parent) {
    const record = laboratory.cellRecord(job);
    if (record === undefined) throw new Error(`${item.key} carries over what ${job.key} publishes, which was not run`);
    if (record.state === 'ready') return job;
  }
  return null;
}

/** Job with its specification. */
interface JobToRun {
  readonly spec: JobSpec;
  /** Milliseconds of measuring the old version beforehand. Null if the job does not know its results. */
  readonly oldMs: number | null;
}

/** Makes the specification of a job as a rollout would, and writes its rows to its folder. */
export async function jobSpec(
  laboratory: Laboratory,
  item: CellItem,
  { tenant, workDir }: { readonly tenant: Tenant; readonly workDir: string },
): Promise<JobToRun> {
  const { base, versions } = laboratory.options;
  const parent = parentOf(laboratory, item);
  const from = parent?.evolution.name ?? null;
  const train = path.join(workDir, 'train.jsonl');
  await writeFileAtomic(train, await firstRows(tenant, item.rows));
  const spec: JobSpec = {
    jobId: item.key,
    kind: 'adaptation',
    oldBase: base,
    newBase: item.evolution.base,
    adapter: tenant.adapter,
    data: { train, validation: await validationFile(item, { tenant, workDir }) },
    metric: item.tenant.task.metric,
    gate: item.gate,
    evolution: laboratory.evolutionFolder(item.evolution, from),
    options: { ...item.strategy.options, seed: item.tenant.seed + (item.jobSeed ?? 0) },
    workDir,
    baselines: 'needed',
  };
  const measureOld = (): Promise<MeasuredOld | null> => measureOldVersion(laboratory, spec);
  const old = item.strategy.known_old ? await laboratory.oldOutcomes(item, measureOld) : null;
  const [outcomes, oldMs] = [old?.outcomes ?? null, old?.ms ?? null];
  if (parent === null) return { spec: { ...spec, oldOutcomes: outcomes }, oldMs };
  const carried = { adapter: versions.folderOf(parent.key), oldBase: parent.evolution.base };
  // Margins count from the imported adapter, as in every rollout after the first.
  const source = { adapter: tenant.adapter, base };
  return { spec: { ...spec, ...carried, anchor: { number: 1, oldNumber: 2, outcomes, source } }, oldMs };
}

/** Returns the file of validation rows, which the job divides into search rows and gate rows. */
async function validationFile(
  { draw }: CellItem,
  { tenant, workDir }: { readonly tenant: Tenant; readonly workDir: string },
): Promise<string> {
  if (draw === undefined) return tenant.validation;
  const file = path.join(workDir, 'validation.jsonl');
  await writeFileAtomic(file, toJsonl(await drawRows(tenant.validation, tenant.spec, draw)));
  return file;
}

/** Measures the old version's results on the gate rows by the cheapest job that needs them (`reuse`). */
async function measureOldVersion({ options }: Laboratory, spec: JobSpec): Promise<MeasuredOld | null> {
  const watch = new JobWatch();
  const job: JobSpec = { ...spec, options: { strategy: 'reuse' }, workDir: path.join(spec.workDir, 'old') };
  await runAdaptation(options.bases, job, watch.onEvent, options.signal);
  return watch.old;
}
