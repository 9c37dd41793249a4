import type { Database } from '../../../src/platform/database/database.ts';
import { withTransaction } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import {
  createRollout,
  createRolloutLifecycle,
  type RolloutLifecycle,
  type RolloutOptions,
  type StoredOptions,
} from '../../../src/fleet/rollouts/index.ts';

/** Number of adapters of one tenant. */
const EACH = 10;

export interface BenchFleet {
  oldVersionId: string;
  newVersionId: string;
}

/** Inserts a base model with two versions, and adapters on the first one. They have no files. */
export async function createFleet(db: Database, adapters: number): Promise<BenchFleet> {
  const baseModelId = newId('baseModel');
  const [oldVersionId, newVersionId] = [newId('baseModelVersion'), newId('baseModelVersion')];
  await db.baseModel.create({ data: { id: baseModelId, name: `bench-${adapters}-${baseModelId}` } });
  const version = { baseModelId, path: '/nowhere', servingName: 'bench' };
  await db.baseModelVersion.createMany({
    data: [
      { ...version, id: oldVersionId, version: 'v1' },
      { ...version, id: newVersionId, version: 'v2' },
    ],
  });
  // The first four groups of the base model's id, which differ between fleets made in different milliseconds.
  const groups = baseModelId.slice('bm_'.length, -12);
  const id = (prefix: string, n: string) => `'${prefix}_${groups}' || lpad(to_hex(${n}), 12, '0')`;
  const tenants = Math.ceil(adapters / EACH);
  const tenant = id('ten', `(n - 1) / ${EACH} + 1`);
  const statements = [
    `INSERT INTO tenants (id, name) SELECT ${id('ten', 'n')}, '${groups}' || n FROM generate_series(1, ${tenants}) n`,
    `INSERT INTO datasets (id, tenant_id, name, artifact_digest, rows, bytes, splits)
     SELECT ${id('dst', 'n')}, ${id('ten', 'n')}, 'rows', 'none', 1, 1, '{}' FROM generate_series(1, ${tenants}) n`,
    `INSERT INTO adapters (id, tenant_id, base_model_id, dataset_id, name, metric, gate)
     SELECT ${id('adp', 'n')}, ${tenant}, '${baseModelId}', ${id('dst', `(n - 1) / ${EACH} + 1`)}, 'adapter-' || n,
       'accuracy', '{"kind": "absolute", "target": 0.8}' FROM generate_series(1, ${adapters}) n`,
    `INSERT INTO adapter_versions
       (id, tenant_id, adapter_id, base_model_version_id, number, origin, artifact_digest, rank, lora_alpha)
     SELECT ${id('adv', 'n')}, ${tenant}, ${id('adp', 'n')}, '${oldVersionId}', 1, 'imported', 'none', 8, 16
     FROM generate_series(1, ${adapters}) n`,
    'ANALYZE',
  ];
  for (const statement of statements) await db.$executeRawUnsafe(statement);
  return { oldVersionId, newVersionId };
}

/** Creates a rollout whose analysis has ended, so that it can be planned. */
export async function createAnalyzed(db: Database, newVersionId: string, options: RolloutOptions = {}) {
  const { rollout } = await withTransaction(db, (tx) =>
    createRollout(tx, { baseModelVersionId: newVersionId, options }),
  );
  const lifecycle: RolloutLifecycle = createRolloutLifecycle({ db });
  const row = await lifecycle.beginAnalysis(rollout.id);
  if (row === null) throw new Error(`rollout ${rollout.id} is not to be analyzed`);
  return {
    lifecycle,
    request: { id: row.id, baseModelVersionId: newVersionId, options: row.options as StoredOptions },
  };
}
