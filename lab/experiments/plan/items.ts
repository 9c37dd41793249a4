import type { EvolutionConfig, SurfaceConfig } from '../config/experiment.schema.ts';
import type { Experiment, StrategyConfig } from '../config/load-experiment.ts';
import { keyOf } from './keys.ts';
import { tenantFacts, tenantName, type TenantSpec } from './tenant-spec.ts';

interface Planned {
  /** Readable text that differs whenever anything differs that decides the result. */
  readonly key: string;
  /** Groups of items that take about as long, from the most similar items to all. */
  readonly groups: readonly string[];
}

/** A base that adapters are carried over from. */
export interface Origin {
  /** Name of the evolution that led to it; null for the experiment's base. */
  readonly name: string | null;
  readonly base: string;
}

/** Computes the difference of two bases. */
export interface EvolutionItem extends Planned {
  readonly type: 'evolution';
  readonly evolution: EvolutionConfig;
  /** Where adapters come from, the version before first. The experiment's base is the last, or the only one without a chain. */
  readonly origins: readonly [Origin, ...Origin[]];
  /** The tenant that it is for, where tenants are measured apart; undefined where it is for all. */
  readonly tenant?: TenantSpec;
}

/** Trains the old adapter and measures it on the old base. */
export interface TenantItem extends Planned {
  readonly type: 'tenant';
  readonly tenant: TenantSpec;
}

/** Measures the new base without an adapter and with the unchanged old adapter. */
export interface ReferenceItem extends Planned {
  readonly type: 'reference';
  readonly evolution: EvolutionConfig;
  readonly tenant: TenantSpec;
}

/** Runs one adaptation job: one cell of the table of tenants, evolutions, strategies and numbers of rows. */
export interface CellItem extends Planned {
  readonly type: 'cell';
  readonly evolution: EvolutionConfig;
  readonly tenant: TenantSpec;
  readonly rows: number;
  readonly strategy: StrategyConfig;
  readonly gate: Experiment['gate'];
  /** The sample of the tenant's validation rows that the job gets; undefined where it gets all of them. */
  readonly draw?: { readonly number: number; readonly rows: number };
  /** What the job's seed is above its tenant's; undefined where they are the same. */
  readonly jobSeed?: number;
  /** In a chain, the same job for the version before, whose published adapter this one carries over. */
  readonly parent?: CellItem;
  /** Whether a later job carries over what this one publishes. */
  readonly isParent: boolean;
}

/** Measures the loss over a grid of α and β. */
export interface SurfaceItem extends Planned {
  readonly type: 'surface';
  readonly evolution: EvolutionConfig;
  readonly tenant: TenantSpec;
  /** Name of the strategy whose search is drawn on the surface. */
  readonly strategy: string;
  readonly grid: Pick<SurfaceConfig, 'alpha' | 'beta'>;
  /** The `search_rows` option of that strategy. */
  readonly searchRows: number | undefined;
}

export type Item = EvolutionItem | TenantItem | ReferenceItem | CellItem | SurfaceItem;

/** What an item is about, without what follows from it. */
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
