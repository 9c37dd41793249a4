import { UsageError } from '../../../cli/process/errors.ts';
import { loadDataset } from '../../../core/data/dataset.ts';
import type { ExampleRow } from '../../../core/data/example.ts';
import { questionOf } from '../../../core/formats/dataset/dataset-row.ts';
import { Random } from '../../../core/statistics/random.ts';
import type { RowPool } from '../config/experiment.schema.ts';
import type { CellItem } from '../plan/items.ts';
import type { TenantSpec } from '../plan/tenant-spec.ts';

/** Rows of a tenant in three disjoint sets. */
export interface TenantRows {
  readonly train: readonly ExampleRow[];
  readonly validation: readonly ExampleRow[];
  readonly test: readonly ExampleRow[];
}

type Draw = NonNullable<CellItem['draw']>;

/** Seed for the test rows of a pool, so that they are the same for all tenants and no tenant trains on them. */
const TEST_SEED = 0;

/** Chooses a tenant's rows by its seed. @throws UsageError if there are fewer than the experiment asks for */
export async function tenantRows(spec: TenantSpec): Promise<TenantRows> {
  const { task, recipe, seed, validationRows, testRows } = spec;
  if ('pool' in task) return drawnRows(spec, task);
  const [rows, validation, test] = await Promise.all(
    [task.train, task.validation, task.test].map((file) => loadDataset(file)),
  );
  const shuffled = Random.fromSeed(seed).shuffle([...rows!]);
  return {
    train: take(shuffled, recipe.rows, `training rows of task ${task.name}`),
    validation: take(validation!, validationRows, `validation rows of task ${task.name}`),
    test: take(test!, testRows, `test rows of task ${task.name}`),
  };
}

/**
 * Draws the test rows, and from the others the training and validation rows by the tenant's seed. Of rows with the same
 * prompt it keeps one, so that none is a gate row while another one is a test row.
 */
async function drawnRows({ task, recipe, seed, validationRows, testRows = 0 }: TenantSpec, { pool }: RowPool) {
  const all = (await Promise.all(pool.map((file) => loadDataset(file)))).flat();
  const rows = [...new Map(all.map((row) => [questionOf(row), row])).values()];
  const mixed = Random.fromSeed(TEST_SEED).shuffle(rows);
  const others = Random.fromSeed(seed).shuffle(mixed.slice(testRows));
  const { rows: training = 0 } = recipe;
  const what = `rows in the pool of task ${task.name}, beside those for tests and training`;
  return {
    train: others.slice(0, training),
    validation: take(others.slice(training), validationRows, what),
    test: mixed.slice(0, testRows),
  };
}

/** Draws a random sample of a tenant's validation rows. @throws UsageError if there are too few */
export async function drawRows(
  file: string,
  { seed, task }: TenantSpec,
  { number, rows }: Draw,
): Promise<ExampleRow[]> {
  const mixed = Random.fromSeed(1000 * seed + number).shuffle([...(await loadDataset(file))]);
  return [...take(mixed, rows, `validation rows of task ${task.name}`)];
}

function take<T>(list: readonly T[], count: number | undefined, what: string): readonly T[] {
  if (count !== undefined && count > list.length)
    throw new UsageError(`found ${list.length} ${what}, expected at least the ${count} that the experiment asks for`);
  return list.slice(0, count);
}
