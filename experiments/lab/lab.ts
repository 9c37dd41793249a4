import { rm } from 'node:fs/promises';
import path from 'node:path';
import { evolve, readEvolution } from '../../core/adaptation/evolve.ts';
import type { LoadedBase, Session } from '../../core/engine/base-cache.ts';
import type { EvolutionConfig } from '../config/experiment.schema.ts';
import {
  tenantKey,
  type CellItem,
  type EvolutionItem,
  type Item,
  type ReferenceItem,
  type TenantItem,
  type TenantSpec,
} from '../plan.ts';
import type { ItemRecord, ResultRecord, TenantName } from '../records.ts';
import { driftGrid } from '../../core/method/evolution/drift.ts';
import type { FleetSearches, GateOutcomes } from '../../workers/training/protocol.ts';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import { runCell } from './cell.ts';
import { measureSurface } from './surface.ts';
import { ensureTenant, loadTenantData, type Tenant, type TenantData } from './tenant.ts';
import { scoreOnTest } from './test-score.ts';

export interface LabOptions {
  readonly session: Session;
  /** Folder of the old base. */
  readonly base: string;
  /** Folder of the experiment's results; tenants and work in progress are below it. */
  readonly out: string;
  readonly signal: AbortSignal;
  /** What was measured so far. */
  records(): readonly ResultRecord[];
}

/** What items are measured with. Everything that adapts, trains, searches or evaluates is the product's own. */
export class Lab {
  readonly options: LabOptions;
  readonly #warm = new Set<string>();
  readonly #old = new Map<string, GateOutcomes | null>();

  constructor(options: LabOptions) {
    this.options = options;
  }

  /** Measures one item. @returns its record, without key and times */
  run(item: Item): Promise<Measured> {
    switch (item.type) {
      case 'evolution':
        return this.#evolution(item);
      case 'tenant':
        return this.#tenant(item);
      case 'reference':
        return this.#reference(item);
      case 'cell':
        return runCell(this, item);
      case 'surface':
        return measureSurface(this, item);
    }
  }

  get oldBase(): Promise<LoadedBase> {
    return this.options.session.base(this.options.base);
  }

  base({ base }: EvolutionConfig): Promise<LoadedBase> {
    return this.options.session.base(base);
  }

  /** The tenant's files, made if they are not there. */
  async tenant(spec: TenantSpec): Promise<Tenant> {
    return ensureTenant(
      path.join(this.options.out, 'tenants', tenantKey(spec)),
      spec,
      await this.oldBase,
      this.options.signal,
    );
  }

  async data(tenant: Tenant): Promise<TenantData> {
    return loadTenantData(tenant, await this.oldBase);
  }

  /** Folder of what changed between the old base and this version, computed once, as a rollout has it. */
  async evolutionFolder({ name }: EvolutionConfig): Promise<string> {
    return path.join(this.options.out, 'evolutions', name);
  }

  /** An empty folder for one job. */
  async workDir(): Promise<string> {
    const folder = path.resolve(this.options.out, 'work');
    await rm(folder, { recursive: true, force: true });
    return folder;
  }

  /** What other tenants' jobs of the same strategy and size found on the same evolution, as a rollout hands it on. */
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

  /** What is kept of a tenant's old version on the gate's rows. */
  async oldOutcomes(tenant: TenantSpec, measure: () => Promise<GateOutcomes | null>): Promise<GateOutcomes | null> {
    const key = tenantKey(tenant);
    if (!this.#old.has(key)) this.#old.set(key, await measure());
    return this.#old.get(key)!;
  }

  /** Whether this has not been asked before in this process. */
  isCold(what: string): boolean {
    return !this.#warm.has(what) && Boolean(this.#warm.add(what));
  }

  async #evolution({ evolution }: EvolutionItem): Promise<Measured> {
    const outDir = path.resolve(await this.evolutionFolder(evolution));
    const spec = { oldBase: this.options.base, newBase: evolution.base, outDir };
    const { drift, computeMs, summary } = await evolve(spec, this.options.signal);
    const drifts = driftGrid(await readEvolution(outDir));
    return { type: 'evolution', evolution: evolution.name, drift, computeMs, drifts, summary };
  }

  async #tenant({ tenant: spec }: TenantItem): Promise<Measured> {
    const { signal } = this.options;
    const tenant = await this.tenant(spec);
    const base = await this.oldBase;
    const adapter = await loadAdapter(tenant.adapter, base.model.config);
    const old = await scoreOnTest(base, adapter, await this.data(tenant), { metric: spec.task.metric, signal });
    return { type: 'tenant', ...nameOf(spec), old };
  }

  async #reference({ tenant: spec, evolution }: ReferenceItem): Promise<Measured> {
    const { signal } = this.options;
    const tenant = await this.tenant(spec);
    const base = await this.base(evolution);
    const data = await this.data(tenant);
    const score = { metric: spec.task.metric, signal };
    const none = await scoreOnTest(base, null, data, score);
    const copy = await scoreOnTest(base, await loadAdapter(tenant.adapter, base.model.config), data, score);
    return { type: 'reference', ...nameOf(spec), evolution: evolution.name, none, copy };
  }
}

export function nameOf({ task, recipe, seed }: TenantSpec): TenantName {
  return { task: task.name, adapter: recipe.name, seed };
}

type Bare<T> = T extends ItemRecord ? Omit<T, 'key' | 'ms' | 'at'> : never;
/** A record without what the run adds. */
export type Measured = Bare<ItemRecord>;
