import { createHash } from 'node:crypto';
import path from 'node:path';
import { packagePath } from '../core/installation/package-path.ts';
import type { AdapterRecipe, EvolutionConfig, SurfaceConfig, TaskConfig } from './config/experiment.schema.ts';
import type { Experiment, StrategyConfig } from './config/load-experiment.ts';
import type { TenantName } from './records.ts';

/** One tenant: the rows of a task, and how its adapter for the old base is trained. */
export interface TenantSpec {
  readonly base: string;
  readonly task: TaskConfig;
  readonly recipe: AdapterRecipe;
  readonly seed: number;
  readonly validationRows?: number;
  readonly testRows?: number;
}

interface Planned {
  /** Readable text that differs whenever anything differs that decides the result. */
  readonly key: string;
  /** Groups of items that take about as long, from the most similar items to all. */
  readonly groups: readonly string[];
}

/** Computes the difference of two bases. */
export interface EvolutionItem extends Planned {
  readonly type: 'evolution';
  readonly evolution: EvolutionConfig;
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

/**
 * Lists everything that an experiment measures, in the order in which it is run. Seeds come one after the other, so that a
 * run that is stopped early leaves a whole table of fewer seeds. Within a seed, evolutions come one after the other, so
 * that only two bases are loaded at a time, and all strategies of a tenant follow each other, so that other load on the
 * machine meets all of them.
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
  const { base, tasks, adapters, draws } = experiment;
  // What draws are made from is all validation rows.
  const validationRows = draws === undefined ? experiment.validation_rows : undefined;
  const sizes = { validationRows, testRows: experiment.test_rows };
  return tasks
    .filter(({ name }) => includes(evolution.tasks, name))
    .flatMap((task) =>
      adapters.filter((recipe) => includes(recipe.tasks, task.name)).map((recipe) => ({ task, recipe })),
    )
    .map(({ task, recipe }) => ({ base, task, recipe, seed, ...sizes }));
}

function cellsOf(experiment: Experiment, tenant: TenantSpec, evolution: EvolutionConfig): CellItem[] {
  return experiment.rows.flatMap((rows) =>
    drawsOf(experiment).flatMap((draw) =>
      experiment.strategies
        .filter((strategy) => includes(strategy.rows, rows) && includes(strategy.seeds, tenant.seed))
        .filter((strategy) => draw === undefined || includes(strategy.draws, draw.number))
        .filter(({ tasks, evolutions }) => includes(tasks, tenant.task.name) && includes(evolutions, evolution.name))
        .filter((strategy) => includes(strategy.adapters, tenant.recipe.name))
        .map((strategy) => ({ strategy, gate: strategy.gate ?? experiment.gate }))
        .map((one) => cellItem({ tenant, evolution, rows, draw, ...one })),
    ),
  );
}

function drawsOf({ draws, validation_rows: rows = 0 }: Experiment): CellItem['draw'][] {
  return draws?.map((number) => ({ number, rows })) ?? [undefined];
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
  const { tenant, evolution, rows, strategy, gate, draw } = cell;
  const facts = {
    ...tenantFacts(tenant),
    next: evolution.base,
    rows,
    options: strategy.options,
    gate,
    fleet: strategy.fleet,
    knownOld: strategy.known_old,
    draw,
  };
  const drawn = draw === undefined ? '' : ` draw-${draw.number}`;
  const key = keyOf(`cell ${evolution.name} ${tenantName(tenant)}${drawn} ${rows} ${strategy.name}`, facts);
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
  const isFirstTenant = tenant.seed === experiment.seeds[0] && tenant.recipe.name === experiment.adapters[0]?.name;
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

/** Writes JSON that depends neither on the order of keys nor on where the checkout lies. */
function canonical(value: unknown): string {
  const root = packagePath();
  return JSON.stringify(value, (_, one: unknown) => {
    if (typeof one === 'string' && one.startsWith(`${root}${path.sep}`)) return path.relative(root, one);
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
