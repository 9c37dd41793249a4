import { createHash } from 'node:crypto';
import type { AdapterRecipe, EvolutionConfig, SurfaceConfig, TaskConfig } from './config/experiment.schema.ts';
import type { Experiment, StrategyConfig } from './config/load-experiment.ts';
import type { TenantName } from './records.ts';

/** One tenant: a task's rows, and how its adapter for the old base is made. */
export interface TenantSpec {
  readonly base: string;
  readonly task: TaskConfig;
  readonly recipe: AdapterRecipe;
  readonly seed: number;
  readonly validationRows?: number;
  readonly testRows?: number;
}

interface Planned {
  /** Readable, and different whenever anything that decides the result is. */
  readonly key: string;
  /** Items that take about as long, from the most alike to all. */
  readonly groups: readonly string[];
}

export interface EvolutionItem extends Planned {
  readonly type: 'evolution';
  readonly evolution: EvolutionConfig;
}

export interface TenantItem extends Planned {
  readonly type: 'tenant';
  readonly tenant: TenantSpec;
}

export interface ReferenceItem extends Planned {
  readonly type: 'reference';
  readonly evolution: EvolutionConfig;
  readonly tenant: TenantSpec;
}

export interface CellItem extends Planned {
  readonly type: 'cell';
  readonly evolution: EvolutionConfig;
  readonly tenant: TenantSpec;
  readonly rows: number;
  readonly strategy: StrategyConfig;
  readonly gate: Experiment['gate'];
}

export interface SurfaceItem extends Planned {
  readonly type: 'surface';
  readonly evolution: EvolutionConfig;
  readonly tenant: TenantSpec;
  readonly strategy: string;
  readonly grid: Pick<SurfaceConfig, 'alpha' | 'beta'>;
  readonly searchRows: number | undefined;
}

export type Item = EvolutionItem | TenantItem | ReferenceItem | CellItem | SurfaceItem;

/**
 * Everything that an experiment measures, in the order in which it is run: seed by seed, so that a run that is stopped
 * early leaves a whole table of fewer seeds; in it evolution by evolution, so that two bases are loaded at a time, and the
 * strategies of one tenant after each other, so that what else the machine does meets them all.
 */
export function planExperiment(experiment: Experiment): Item[] {
  const { seeds, evolutions } = experiment;
  return seeds
    .flatMap((seed) => evolutions.flatMap((evolution) => itemsOf(experiment, seed, evolution)))
    .filter(isFirst());
}

function itemsOf(experiment: Experiment, seed: number, evolution: EvolutionConfig): Item[] {
  return [
    evolutionItem(experiment, evolution),
    ...tenantsOf(experiment, seed, evolution).flatMap((tenant) => [
      tenantItem(tenant),
      referenceItem(tenant, evolution),
      ...cellsOf(experiment, tenant, evolution),
      ...surfacesOf(experiment, tenant, evolution),
    ]),
  ];
}

function tenantsOf(experiment: Experiment, seed: number, evolution: EvolutionConfig): TenantSpec[] {
  const { base, tasks, adapters } = experiment;
  const sizes = { validationRows: experiment.validation_rows, testRows: experiment.test_rows };
  return tasks
    .filter(({ name }) => includes(evolution.tasks, name))
    .flatMap((task) =>
      adapters.filter((recipe) => includes(recipe.tasks, task.name)).map((recipe) => ({ task, recipe })),
    )
    .map(({ task, recipe }) => ({ base, task, recipe, seed, ...sizes }));
}

function cellsOf(experiment: Experiment, tenant: TenantSpec, evolution: EvolutionConfig): CellItem[] {
  return experiment.rows.flatMap((rows) =>
    experiment.strategies
      .filter((strategy) => includes(strategy.rows, rows) && includes(strategy.seeds, tenant.seed))
      .filter((strategy) => includes(strategy.tasks, tenant.task.name) && includes(strategy.evolutions, evolution.name))
      .filter((strategy) => includes(strategy.adapters, tenant.recipe.name))
      .map((strategy) => cellItem({ tenant, evolution, rows, strategy, gate: strategy.gate ?? experiment.gate })),
  );
}

function evolutionItem({ base }: Experiment, evolution: EvolutionConfig): EvolutionItem {
  const key = keyOf(`evolution ${evolution.name}`, { base, next: evolution.base });
  return { type: 'evolution', key, groups: ['evolution'], evolution };
}

function tenantItem(tenant: TenantSpec): TenantItem {
  const groups = [`tenant ${tenant.task.name} ${tenant.recipe.name}`, 'tenant'];
  return { type: 'tenant', key: keyOf(`tenant ${tenantName(tenant)}`, tenantFacts(tenant)), groups, tenant };
}

function referenceItem(tenant: TenantSpec, evolution: EvolutionConfig): ReferenceItem {
  const key = keyOf(`reference ${evolution.name} ${tenantName(tenant)}`, {
    ...tenantFacts(tenant),
    next: evolution.base,
  });
  return { type: 'reference', key, groups: [`reference ${tenant.task.name}`, 'reference'], tenant, evolution };
}

function cellItem(cell: Omit<CellItem, 'type' | 'key' | 'groups'>): CellItem {
  const { tenant, evolution, rows, strategy, gate } = cell;
  const facts = {
    ...tenantFacts(tenant),
    next: evolution.base,
    rows,
    options: strategy.options,
    gate,
    fleet: strategy.fleet,
    knownOld: strategy.known_old,
  };
  const key = keyOf(`cell ${evolution.name} ${tenantName(tenant)} ${rows} ${strategy.name}`, facts);
  const like = `cell ${strategy.name} ${tenant.task.name}`;
  return {
    type: 'cell',
    key,
    groups: [`${like} ${rows} ${evolution.name}`, `${like} ${rows}`, `cell ${strategy.name}`, 'cell'],
    ...cell,
  };
}

function surfacesOf(experiment: Experiment, tenant: TenantSpec, evolution: EvolutionConfig): SurfaceItem[] {
  const wanted = (experiment.surfaces ?? []).filter(
    (one) => one.task === tenant.task.name && one.evolution === evolution.name,
  );
  const isFirstTenant = tenant.seed === experiment.seeds[0] && tenant.recipe.name === experiment.adapters[0]!.name;
  return (isFirstTenant ? wanted : []).map(({ alpha, beta, strategy }) => {
    const searchRows = experiment.strategies.find(({ name }) => name === strategy)?.options.search_rows;
    const facts = { ...tenantFacts(tenant), next: evolution.base, alpha, beta, searchRows };
    const key = keyOf(`surface ${evolution.name} ${tenantName(tenant)} ${strategy}`, facts);
    return {
      type: 'surface',
      key,
      groups: ['surface'],
      evolution,
      tenant,
      strategy,
      grid: { alpha, beta },
      searchRows,
    };
  });
}

export function nameOf({ task, recipe, seed }: TenantSpec): TenantName {
  return { task: task.name, adapter: recipe.name, seed };
}

/** A key that is also the name of the tenant's folder. */
export function tenantKey(tenant: TenantSpec): string {
  return keyOf(tenantName(tenant), tenantFacts(tenant)).replaceAll(' ', '-').replace('#', '-');
}

function tenantName({ task, recipe, seed }: TenantSpec): string {
  return `${task.name} ${recipe.name} seed-${seed}`;
}

function tenantFacts({ base, task, recipe, seed, validationRows, testRows }: TenantSpec) {
  const { tasks: _, ...made } = recipe;
  return { base, task, recipe: made, seed, validationRows, testRows };
}

function keyOf(name: string, facts: object): string {
  return `${name} #${createHash('sha256').update(canonical(facts)).digest('hex').slice(0, 10)}`;
}

/** JSON in which the order of keys says nothing. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, one: unknown) => {
    if (typeof one !== 'object' || one === null || Array.isArray(one)) return one;
    return Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function includes<T>(list: readonly T[] | undefined, one: T): boolean {
  return list === undefined || list.includes(one);
}

function isFirst(): (item: Item) => boolean {
  const seen = new Set<string>();
  return ({ key }) => !seen.has(key) && Boolean(seen.add(key));
}
