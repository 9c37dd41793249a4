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
  /** Folder of results, tenants and the work in progress. */
  readonly out: string;
  readonly signal: AbortSignal;
  readonly versions: KeptVersions;
  /** Returns the last record of an item, or undefined. */
  recordOf(key: string): ResultRecord | undefined;
}

/** Shared state of an experiment's items: loaded bases, files of tenants, paths, and earlier measurements. */
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

  /** Returns the tenant's files, and makes them first if they do not exist. */
  async tenant(spec: TenantSpec): Promise<Tenant> {
    const folder = path.join(this.options.out, 'tenants', tenantKey(spec));
    return ensureTenant(folder, spec, await this.oldBase, this.options.signal);
  }

  async data(tenant: Tenant): Promise<TenantData> {
    return loadTenantData(tenant, await this.oldBase);
  }

  evolutionFolder(evolution: EvolutionConfig, from: string | null): string {
    return evolutionFolder(this.options.out, evolution, from);
  }

  /** Removes the folder of the previous job. @returns the folder for the next job, which does not exist yet */
  async workDir(): Promise<string> {
    const folder = path.resolve(this.options.out, 'work');
    await rm(folder, { recursive: true, force: true });
    return folder;
  }

  /** Returns the record of a job, or undefined if it was not run. */
  cellRecord({ key }: CellItem): CellRecord | undefined {
    const record = this.options.recordOf(key);
    return record?.type === 'cell' ? record : undefined;
  }

  /** Caches results of a tenant's own adapter on the gate rows, by tenant and sample of rows. */
  async oldOutcomes(
    { tenant, draw }: CellItem,
    measure: () => Promise<MeasuredOld | null>,
  ): Promise<MeasuredOld | null> {
    return remember(this.#old, `${tenantKey(tenant)} ${draw?.number ?? ''}`, measure);
  }

  /** Caches scores on the test rows by tenant, evolution and the exact bits of the adapter. */
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
