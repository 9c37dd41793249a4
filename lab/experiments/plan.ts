import type { EvolutionConfig } from './config/experiment.schema.ts';
import type { Experiment, StrategyConfig } from './config/load-experiment.ts';
import {
  cellItem,
  evolutionItem,
  referenceItem,
  surfaceItem,
  tenantItem,
  type CellItem,
  type EvolutionItem,
  type Item,
  type Origin,
  type SurfaceItem,
} from './plan/items.ts';
import type { TenantSpec } from './plan/tenant-spec.ts';

export type { CellItem, Item } from './plan/items.ts';
export type { TenantSpec } from './plan/tenant-spec.ts';

/**
 * Lists the items of an experiment in the order in which they are measured. Seeds come one after the other, so that a
 * run that is stopped early leaves a whole table of fewer seeds. Within a seed, evolutions come one after the other, so
 * that only two bases are loaded at a time. With `tenants_apart`, tenants come one after the other instead, each with
 * all its evolutions. The strategies of a tenant follow each other, so that other load on the machine meets all of
 * them.
 */
export function planExperiment(experiment: Experiment): Item[] {
  const { seeds, evolutions, tenants_apart: apart = false } = experiment;
  return seeds
    .map((seed) => tenantsOf(experiment, seed))
    .flatMap((tenants) => (apart ? tenants.map((tenant) => [tenant]) : [tenants]))
    .flatMap((tenants) => evolutions.flatMap((evolution) => itemsOf(experiment, tenants, evolution)))
    .filter(isFirst());
}

/** Lists the items of one evolution. @param tenants all tenants of a seed, or one of them with `tenants_apart` */
function itemsOf(experiment: Experiment, tenants: readonly TenantSpec[], evolution: EvolutionConfig): Item[] {
  const here = tenants.filter(({ task }) => includes(evolution.tasks, task.name));
  return [
    ...evolutionsOf(experiment, evolution, here),
    ...here.flatMap((tenant) => [
      tenantItem(tenant),
      referenceItem({ tenant, evolution }),
      ...cellsOf(experiment, { tenant, evolution }),
      ...surfacesOf(experiment, tenant, evolution),
    ]),
  ];
}

function evolutionsOf(
  experiment: Experiment,
  evolution: EvolutionConfig,
  tenants: readonly TenantSpec[],
): EvolutionItem[] {
  const [nearest, ...further] = ancestorsOf(experiment, evolution).map(({ name, base }): Origin => ({ name, base }));
  const root: Origin = { name: null, base: experiment.base };
  const origins: EvolutionItem['origins'] = nearest ? [nearest, ...further, root] : [root];
  if (!experiment.tenants_apart) return [evolutionItem({ evolution, origins })];
  return tenants.map((tenant) => evolutionItem({ evolution, origins, tenant }));
}

/** Lists the evolutions before this one in its chain, the latest first. */
function ancestorsOf(experiment: Experiment, evolution: EvolutionConfig): EvolutionConfig[] {
  const parent = parentOf(experiment, evolution);
  return parent ? [parent, ...ancestorsOf(experiment, parent)] : [];
}

function parentOf({ evolutions }: Experiment, { parent }: EvolutionConfig): EvolutionConfig | undefined {
  return evolutions.find(({ name }) => name === parent);
}

function tenantsOf(experiment: Experiment, seed: number): TenantSpec[] {
  const { base, tasks, adapters, draws } = experiment;
  // Draws are samples of all validation rows.
  const validationRows = draws === undefined ? experiment.validation_rows : undefined;
  const sizes = { validationRows, testRows: experiment.test_rows };
  return tasks
    .flatMap((task) =>
      adapters.filter((recipe) => includes(recipe.tasks, task.name)).map((recipe) => ({ task, recipe })),
    )
    .map(({ task, recipe }) => ({ base, task, recipe, seed, ...sizes }));
}

/** Job without its strategy. */
type Place = Pick<CellItem, 'tenant' | 'evolution' | 'rows' | 'draw'>;

function cellsOf(experiment: Experiment, { tenant, evolution }: Pick<Place, 'tenant' | 'evolution'>): CellItem[] {
  return experiment.rows
    .filter((rows) => includes(evolution.rows, rows))
    .flatMap((rows) => drawsOf(experiment).map((draw): Place => ({ tenant, evolution, rows, draw })))
    .flatMap((place) =>
      inTurn(experiment, tenant)
        .filter((strategy) => runsAt(strategy, place))
        .map((strategy) => cellOf(experiment, strategy, place)),
    );
}

/**
 * Lists the strategies in the order of the file. In a blind experiment each seed begins with another one, so that none
 * is always measured first or last.
 */
function inTurn({ blind, strategies }: Experiment, { seed }: TenantSpec): readonly StrategyConfig[] {
  if (blind !== true) return strategies;
  const first = seed % strategies.length;
  return [...strategies.slice(first), ...strategies.slice(0, first)];
}

function runsAt(strategy: StrategyConfig, { tenant, evolution, rows, draw }: Place): boolean {
  const { task, recipe, seed } = tenant;
  return (
    includes(strategy.tasks, task.name) &&
    includes(strategy.evolutions, evolution.name) &&
    includes(strategy.adapters, recipe.name) &&
    includes(strategy.rows, rows) &&
    includes(strategy.seeds, seed) &&
    (draw === undefined || includes(strategy.draws, draw.number))
  );
}

function cellOf(experiment: Experiment, strategy: StrategyConfig, place: Place): CellItem {
  const before = parentOf(experiment, place.evolution);
  const { job_seed: jobSeed = 0 } = experiment;
  return cellItem({
    ...place,
    strategy: atSize(strategy, place),
    gate: strategy.gate ?? experiment.gate,
    ...(jobSeed > 0 && { jobSeed }),
    isParent: experiment.evolutions.some(({ parent }) => parent === place.evolution.name),
    ...(before && { parent: cellOf(experiment, strategy, { ...place, evolution: before }) }),
  });
}

/** Returns the strategy with its options for this number of rows, so that equal options give equal keys. */
function atSize(strategy: StrategyConfig, { rows }: Place): StrategyConfig {
  return { ...strategy, options: { ...strategy.options, ...strategy.options_by_rows?.[rows] } };
}

function drawsOf({ draws, validation_rows: rows = 0 }: Experiment): CellItem['draw'][] {
  return draws?.map((number) => ({ number, rows })) ?? [undefined];
}

function surfacesOf(experiment: Experiment, tenant: TenantSpec, evolution: EvolutionConfig): SurfaceItem[] {
  const wanted = (experiment.surfaces ?? []).filter(
    (one) => one.task === tenant.task.name && one.evolution === evolution.name,
  );
  const isFirstTenant = tenant.seed === experiment.seeds[0] && tenant.recipe.name === experiment.adapters[0]?.name;
  return (isFirstTenant ? wanted : []).map(({ alpha, beta, strategy }) => {
    const searchRows = experiment.strategies.find(({ name }) => name === strategy)?.options.search_rows;
    return surfaceItem({ evolution, tenant, strategy, grid: { alpha, beta }, searchRows });
  });
}

function includes<T>(list: readonly T[] | undefined, one: T): boolean {
  return list === undefined || list.includes(one);
}

function isFirst(): (item: Item) => boolean {
  const seen = new Set<string>();
  return ({ key }) => !seen.has(key) && Boolean(seen.add(key));
}
