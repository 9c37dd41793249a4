import path from 'node:path';
import type { JobSpec } from '../../core/adaptation/job-spec.ts';
import type { GateOutcomes } from '../../core/adaptation/measurements/gate-outcomes.ts';
import { runAdaptation } from '../../core/adaptation/run-adaptation.ts';
import { writeFileAtomic } from '../../core/formats/atomic-file.ts';
import type { CellItem } from '../plan/items.ts';
import { JobWatch } from './job-watch.ts';
import type { Laboratory } from './laboratory.ts';
import { firstRows, toJsonl, type Tenant } from './tenant.ts';
import { drawRows } from './tenant-rows.ts';

/** An adapter that a job carries over, and its base. */
interface Source extends Pick<JobSpec, 'adapter' | 'oldBase'> {
  /** The evolution that it was published for; null for the tenant's own adapter. */
  readonly carriedFrom: string | null;
}

/** What a job is run with, as a rollout would put it together, and what it carries over. */
export interface PreparedJob {
  readonly spec: JobSpec;
  readonly carriedFrom: string | null;
}

/** Writes the rows of a job to its folder and finds the adapter that it carries over. */
export async function prepareJob(
  laboratory: Laboratory,
  item: CellItem,
  { tenant, workDir }: { readonly tenant: Tenant; readonly workDir: string },
): Promise<PreparedJob> {
  const own: Source = { adapter: tenant.adapter, oldBase: laboratory.options.base, carriedFrom: null };
  const { carriedFrom, ...source } = publishedBefore(laboratory, item) ?? own;
  const train = path.join(workDir, 'train.jsonl');
  await writeFileAtomic(train, await firstRows(tenant, item.rows));
  const spec: JobSpec = {
    jobId: item.key,
    kind: 'adaptation',
    ...source,
    newBase: item.evolution.base,
    data: { train, validation: await validationFile(item, { tenant, workDir }) },
    metric: item.tenant.task.metric,
    gate: item.gate,
    evolution: laboratory.evolutionFolder(item.evolution, carriedFrom),
    options: { ...item.strategy.options, seed: item.tenant.seed },
    workDir,
    baselines: 'needed',
    fleetSearches: item.strategy.fleet ? laboratory.earlierSearches(item, carriedFrom) : [],
  };
  const measureOwn = (): Promise<GateOutcomes | null> =>
    measureOldVersion(laboratory, { ...spec, adapter: own.adapter, oldBase: own.oldBase });
  const known = item.strategy.known_old ? await laboratory.oldOutcomes(item, measureOwn) : null;
  if (carriedFrom === null) return { spec: { ...spec, oldOutcomes: known }, carriedFrom };
  // Margins count from what the tenant has imported, as in every rollout after the first.
  const anchor = { adapter: own.adapter, base: own.oldBase };
  return { spec: { ...spec, anchor: { number: 1, oldNumber: 2, outcomes: known, source: anchor } }, carriedFrom };
}

/** What the latest job before this one in its chain has published that was ready; null if none was. */
function publishedBefore(laboratory: Laboratory, item: CellItem): Source | null {
  for (let job = item.parent; job !== undefined; job = job.parent) {
    const record = laboratory.cellRecord(job);
    if (record === undefined) throw new Error(`${item.key} carries over what ${job.key} publishes, which was not run`);
    const { name, base } = job.evolution;
    if (record.state === 'ready')
      return { adapter: laboratory.options.versions.folderOf(job.key), oldBase: base, carriedFrom: name };
  }
  return null;
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

/** Measures what the service keeps of the imported version, by the cheapest job that needs it. */
async function measureOldVersion({ options }: Laboratory, spec: JobSpec): Promise<GateOutcomes | null> {
  const watch = new JobWatch();
  const job: JobSpec = { ...spec, options: { strategy: 'reuse' }, workDir: path.join(spec.workDir, 'old') };
  await runAdaptation(options.bases, job, watch.onEvent, options.signal);
  return watch.old;
}
