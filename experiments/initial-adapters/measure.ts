import { meanLoss } from '../../core/data/evaluation/measure.ts';
import { loadTaskData } from '../../core/data/task-data.ts';
import type { LoadedBase } from '../../core/engine/base-cache.ts';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import type { MatrixProducts } from '../../core/linalg/products.ts';
import type { Evolution } from '../../core/method/evolution/evolution.ts';
import type { Adapter } from '../../core/models/lora/adapter.ts';
import { DEFAULT_JOB_OPTIONS } from '../../core/options/job-settings.ts';
import type { Laboratory } from '../lab/laboratory.ts';
import { scoreOnTest } from '../lab/test-score.ts';
import type { ReferenceItem } from '../plan/items.ts';
import { nameOf } from '../plan/tenant-spec.ts';
import { OLD_VERSION, type InitialRecord } from './records.ts';
import { STARTS } from './starts.ts';
import { Workshop } from './workshop.ts';

/** What the tenants of one new base have in common. */
export interface Surroundings {
  readonly laboratory: Laboratory;
  readonly products: MatrixProducts;
  readonly evolution: Evolution;
  /** Number of training rows on which the inputs of modules are measured. */
  readonly rows: number;
}

/**
 * Makes the initial adapters of one tenant for one new base, without any training, and measures each of them on the test rows.
 * @param starts names of {@link STARTS}, and {@link OLD_VERSION}, which is measured on the old base
 */
export async function* measureStarts(
  item: ReferenceItem,
  starts: readonly string[],
  { laboratory, products, evolution, rows }: Surroundings,
): AsyncGenerator<InitialRecord> {
  const { signal } = laboratory.options;
  const base = await laboratory.newBase(item.evolution);
  const tenant = await laboratory.tenant(item.tenant);
  const data = await laboratory.data(tenant);
  const old = await loadAdapter(tenant.adapter, base.model.config);
  const place = { key: item.key, ...nameOf(item.tenant), evolution: item.evolution.name };
  const score = async (on: LoadedBase, adapter: Adapter) => ({
    ...(await scoreOnTest(on, adapter, data, { metric: item.tenant.task.metric, signal })),
    loss: (await meanLoss(on.runtime, adapter, data.test, { signal })).value,
  });
  if (starts.includes(OLD_VERSION)) {
    const measured = await score(await laboratory.oldBase, old);
    yield { ...place, start: OLD_VERSION, ...measured, cost: { ms: 0, forward: 0, backward: 0 } };
  }
  const { tokenizer, model, runtime } = base;
  const files = { train: tenant.train, validation: tenant.validation };
  const { search } = await loadTaskData(files, { tokenizer, config: model.config });
  const workshop = new Workshop({
    ...{ old, evolution, runtime, products, signal },
    training: data.train.slice(0, rows),
    search: search.slice(0, DEFAULT_JOB_OPTIONS.search_rows),
    seed: item.tenant.seed,
  });
  for (const start of Object.keys(STARTS).filter((name) => starts.includes(name))) {
    const { value: adapter, cost } = await STARTS[start]!(workshop);
    const coefficients = start === 'search' ? (await workshop.searched()).value : null;
    yield { ...place, start, ...(await score(base, adapter)), cost, ...(coefficients && { coefficients }) };
  }
}
