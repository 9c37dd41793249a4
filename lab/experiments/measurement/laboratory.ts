import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { LoadedBase, BaseCache } from '../../../core/engine/base-cache.ts';
import type { MeasuredOld } from './job-watch.ts';
import { adapterSha256 } from '../../../core/formats/peft/peft-adapter-writer.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import type { EvolutionConfig } from '../config/experiment.schema.ts';
import type { CellItem } from '../plan/items.ts';
import { tenantKey, type TenantSpec } from '../plan/tenant-spec.ts';
import type { CellRecord, ResultRecord, TestScore } from '../records.ts';
import { evolutionFolder, type KeptVersions } from './kept-versions.ts';
import { ensureTenant, loadTenantData, type Tenant, type TenantData } from './tenant.ts';

export interface LaboratoryOptions {
  readonly bases: BaseCache;
  /** Folder of the old base. */
  readonly base: string;
  /** Folder of the experiment's results, which also holds the tenants and the work in progress. */
  readonly out: string;
  readonly signal: AbortSignal;
  readonly versions: KeptVersions;
  /** Returns the last record of an item; undefined as long as there is none. */
  recordOf(key: string): ResultRecord | undefined;
}

/** What the items of one experiment share: loaded bases, the tenants' files, paths, and what was measured before. */
export class Laboratory {
  readonly options: LaboratoryOptions;
  readonly #old = new Map<string, MeasuredOld | null>();
  readonly #scores = new Map<string, TestScore>();

  constructor(options: LaboratoryOptions) {
    this.options = options;
  }

  get oldBase(): Promise<LoadedBase> {
    return this.options.bases.load(this.options.base);
  }

  newBase({ base }: EvolutionConfig): Promise<LoadedBase> {
    return this.options.bases.load(base);
  }

  /** Returns the tenant's files, after making them if they do not exist. */
  async tenant(spec: TenantSpec): Promise<Tenant> {
    const folder = path.join(this.options.out, 'tenants', tenantKey(spec));
    return ensureTenant(folder, spec, await this.oldBase, this.options.signal);
  }

  async data(tenant: Tenant): Promise<TenantData> {
    return loadTenantData(tenant, await this.oldBase);
  }

  /** As the function of that name. */
  evolutionFolder(evolution: EvolutionConfig, from: string | null): string {
    return evolutionFolder(this.options.out, evolution, from);
  }

  /** Removes what an earlier job left and returns the folder for the next job, which does not exist yet. */
  async workDir(): Promise<string> {
    const folder = path.resolve(this.options.out, 'work');
    await rm(folder, { recursive: true, force: true });
    return folder;
  }

  /** What is known of a job; undefined as long as it was not run. */
  cellRecord({ key }: CellItem): CellRecord | undefined {
    const record = this.options.recordOf(key);
    return record?.type === 'cell' ? record : undefined;
  }

  /** How the tenant's own adapter does on the gate rows; `measure` is called once for each tenant and sample of rows. */
  async oldOutcomes(
    { tenant, draw }: CellItem,
    measure: () => Promise<MeasuredOld | null>,
  ): Promise<MeasuredOld | null> {
    return remember(this.#old, `${tenantKey(tenant)} ${draw?.number ?? ''}`, measure);
  }

  /** How a version does on the test rows; `measure` is called once for versions of a tenant that are the same to the last bit. */
  async testScore(
    { tenant, evolution, adapter }: Pick<CellItem, 'tenant' | 'evolution'> & { readonly adapter: Adapter },
    measure: () => Promise<TestScore>,
  ): Promise<TestScore> {
    return remember(this.#scores, `${tenantKey(tenant)} ${evolution.name} ${adapterSha256(adapter)}`, measure);
  }
}

async function remember<T>(known: Map<string, T>, key: string, measure: () => Promise<T>): Promise<T> {
  const found = known.get(key);
  if (found !== undefined) return found;
  const measured = await measure();
  known.set(key, measured);
  return measured;
}
