import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { LoadedBase, BaseCache } from '../../core/engine/base-cache.ts';
import type { GateOutcomes } from '../../core/adaptation/measurements/gate-outcomes.ts';
import { adapterSha256 } from '../../core/formats/peft/peft-adapter-writer.ts';
import type { FleetSearches } from '../../core/method/search/fleet-prior.ts';
import type { Adapter } from '../../core/models/lora/adapter.ts';
import type { EvolutionConfig } from '../config/experiment.schema.ts';
import { nameOf, tenantKey, type CellItem, type TenantSpec } from '../plan.ts';
import type { ResultRecord, TestScore } from '../records.ts';
import { ensureTenant, loadTenantData, type Tenant, type TenantData } from './tenant.ts';

export interface LaboratoryOptions {
  readonly bases: BaseCache;
  /** Folder of the old base. */
  readonly base: string;
  /** Folder of the experiment's results, which also holds the tenants and the work in progress. */
  readonly out: string;
  readonly signal: AbortSignal;
  /** Returns what has been measured so far. */
  records(): readonly ResultRecord[];
}

/** What the items of one experiment share: loaded bases, the tenants' files, paths, and what was measured before. */
export class Laboratory {
  readonly options: LaboratoryOptions;
  readonly #warm = new Set<string>();
  readonly #old = new Map<string, GateOutcomes | null>();
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

  /** The folder of the difference between the old base and this version, which is computed once, as in a rollout. */
  evolutionFolder({ name }: EvolutionConfig): string {
    return path.resolve(this.options.out, 'evolutions', name);
  }

  /** Removes what an earlier job left and returns the folder for the next job, which does not exist yet. */
  async workDir(): Promise<string> {
    const folder = path.resolve(this.options.out, 'work');
    await rm(folder, { recursive: true, force: true });
    return folder;
  }

  /**
   * The searches that a rollout would hand on to this job: those of other tenants' jobs with the same evolution, strategy
   * and number of rows.
   */
  earlierSearches({ evolution, strategy, rows, tenant }: CellItem): FleetSearches {
    const own = nameOf(tenant);
    const cells = this.options.records().filter((record) => record.type === 'cell');
    const alike = cells.filter(
      (cell) => cell.evolution === evolution.name && cell.strategy === strategy.name && cell.rows === rows,
    );
    const others = alike.filter(
      ({ task, adapter, seed }) => task !== own.task || adapter !== own.adapter || seed !== own.seed,
    );
    return others.filter(({ search }) => search.length > 0).map(({ search }) => search);
  }

  /** How the tenant's old version does on the gate rows; `measure` is called once for each tenant and sample of rows. */
  async oldOutcomes(
    { tenant, draw }: CellItem,
    measure: () => Promise<GateOutcomes | null>,
  ): Promise<GateOutcomes | null> {
    return remember(this.#old, `${tenantKey(tenant)} ${draw?.number ?? ''}`, measure);
  }

  /** How a version does on the test rows; `measure` is called once for versions of a tenant that are the same to the last bit. */
  async testScore(
    { tenant, evolution, adapter }: Pick<CellItem, 'tenant' | 'evolution'> & { readonly adapter: Adapter },
    measure: () => Promise<TestScore>,
  ): Promise<TestScore> {
    return remember(this.#scores, `${tenantKey(tenant)} ${evolution.name} ${adapterSha256(adapter)}`, measure);
  }

  /** Whether this is the first call with this text. */
  isCold(what: string): boolean {
    return !this.#warm.has(what) && Boolean(this.#warm.add(what));
  }
}

async function remember<T>(known: Map<string, T>, key: string, measure: () => Promise<T>): Promise<T> {
  const found = known.get(key);
  if (found !== undefined) return found;
  const measured = await measure();
  known.set(key, measured);
  return measured;
}
