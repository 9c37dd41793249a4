import type { EvolutionConfig, SurfaceConfig } from '../config/experiment.schema.ts';
import type { Experiment, StrategyConfig } from '../config/load-experiment.ts';
import { keyOf } from './keys.ts';
import { tenantFacts, tenantName, type TenantSpec } from './tenant-spec.ts';

interface Planned {
  /** Readable key. Items whose settings differ in anything that decides the result have different keys. */
  readonly key: string;
  /** Groups of items for estimates of time, from the most similar items to all. */
  readonly groups: readonly string[];
}

/** Base from which adapters are carried over. */
export interface Origin {
  /** Name of the evolution that led to the base, or null for the experiment's base. */
  readonly name: string | null;
  readonly base: string;
}

/** Computation of the difference of two bases. */
export interface EvolutionItem extends Planned {
  readonly type: 'evolution';
  readonly evolution: EvolutionConfig;
  /** Bases of the adapters, the latest first. The experiment's base is the last, and without a chain the only one. */
  readonly origins: readonly [Origin, ...Origin[]];
  /** Tenant whose jobs use it, with `tenants_apart`. Undefined if all tenants do. */
  readonly tenant?: TenantSpec;
}

/** Training of an old adapter, and its measurement on the old base. */
export interface TenantItem extends Planned {
  readonly type: 'tenant';
  readonly tenant: TenantSpec;
}

/** Measurement of the new base, without an adapter and with the unchanged old adapter. */
export interface ReferenceItem extends Planned {
  readonly type: 'reference';
  readonly evolution: EvolutionConfig;
  readonly tenant: TenantSpec;
}

/** Adaptation job: one cell of the table of tenants, evolutions, strategies and numbers of rows. */
export interface CellItem extends Planned {
  readonly type: 'cell';
  readonly evolution: EvolutionConfig;
  readonly tenant: TenantSpec;
  readonly rows: number;
  readonly strategy: StrategyConfig;
  readonly gate: Experiment['gate'];
  /** Sample of the tenant's validation rows for the job. Undefined if it gets all of them. */
  readonly draw?: { readonly number: number; readonly rows: number };
  /** Added to the tenant's seed for the job. Undefined for 0. */
  readonly jobSeed?: number;
  /** In a chain, the same job for the previous evolution, whose published adapter this job carries over. */
  readonly parent?: CellItem;
  /** Whether a later job carries over the adapter that this job publishes. */
  readonly isParent: boolean;
}

/** Measurement of the loss over a grid of α and β. */
export interface SurfaceItem extends Planned {
  readonly type: 'surface';
  readonly evolution: EvolutionConfig;
  readonly tenant: TenantSpec;
  /** Name of the strategy whose search the chart shows on the surface. */
  readonly strategy: string;
  readonly grid: Pick<SurfaceConfig, 'alpha' | 'beta'>;
  /** The `search_rows` option of that strategy. */
  readonly searchRows: number | undefined;
}

export type Item = EvolutionItem | TenantItem | ReferenceItem | CellItem | SurfaceItem;

/** Fields of an item without its type, key and groups. */
type Subject<T extends Item> = Omit<T, 'type' | keyof Planned>;

export function evolutionItem({ evolution, origins, tenant }: Subject<EvolutionItem>): EvolutionItem {
  const [{ base }, ...direct] = origins;
  const facts = { base, next: evolution.base, ...(direct.length > 0 && { direct: direct.map((one) => one.base) }) };
  const apart = tenant === undefined ? '' : ` ${tenantName(tenant)}`;
  const key = keyOf(`evolution ${evolution.name}${apart}`, facts);
  return { type: 'evolution', key, groups: ['evolution'], evolution, origins, ...(tenant && { tenant }) };
}

export function tenantItem(tenant: TenantSpec): TenantItem {
  const groups = [`tenant ${tenant.task.name} ${tenant.recipe.name}`, 'tenant'];
  return { type: 'tenant', key: keyOf(`tenant ${tenantName(tenant)}`, tenantFacts(tenant)), groups, tenant };
}

export function referenceItem({ tenant, evolution }: Subject<ReferenceItem>): ReferenceItem {
  const facts = { ...tenantFacts(tenant), next: evolution.base };
  const key = keyOf(`reference ${evolution.name} ${tenantName(tenant)}`, facts);
  return { type: 'reference', key, groups: [`reference ${tenant.task.name}`, 'reference'], tenant, evolution };
}

export function cellItem(cell: Subject<CellItem>): CellItem {
  const { tenant, evolution, rows, strategy, gate, draw, jobSeed, parent } = cell;
  const facts = {
    ...tenantFacts(tenant),
    next: evolution.base,
    rows,
    options: strategy.options,
    gate,
    fleet: strategy.fleet,
    knownOld: strategy.known_old,
    draw,
    jobSeed,
    parent: parent?.key,
  };
  const drawn = draw === undefined ? '' : ` draw-${draw.number}`;
  const key = keyOf(`cell ${evolution.name} ${tenantName(tenant)}${drawn} ${rows} ${strategy.name}`, facts);
  const like = `cell ${strategy.name} ${tenant.task.name}`;
  const groups = [`${like} ${rows} ${evolution.name}`, `${like} ${rows}`, `cell ${strategy.name}`, 'cell'];
  return { type: 'cell', key, groups, ...cell };
}

export function surfaceItem(surface: Subject<SurfaceItem>): SurfaceItem {
  const { tenant, evolution, strategy, grid, searchRows } = surface;
  const facts = { ...tenantFacts(tenant), next: evolution.base, ...grid, searchRows };
  const key = keyOf(`surface ${evolution.name} ${tenantName(tenant)} ${strategy}`, facts);
  return { type: 'surface', key, groups: ['surface'], ...surface };
}
