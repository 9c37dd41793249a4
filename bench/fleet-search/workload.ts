import { access } from 'node:fs/promises';
import path from 'node:path';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import { saveAdapter } from '../../core/formats/peft/peft-adapter-writer.ts';
import type { Adapter } from '../../core/models/lora/adapter.ts';
import { createAdapter } from '../../core/models/lora/lora-init.ts';
import { Random } from '../../core/statistics/random.ts';
import { loadDataset } from '../../core/data/dataset.ts';
import type { TokenizedExample } from '../../core/data/example.ts';
import type { LoadedBase } from '../../core/engine/base-cache.ts';
import { tokenizeRows } from '../../core/data/task-data.ts';
import { train } from '../../core/training/trainer.ts';

export const FAMILY = path.join(import.meta.dirname, '../../examples/demo-family');
const TASKS = ['sst2', 'plural', 'agnews', 'past'] as const;

/** One adapter of the fleet, with rows of its own. */
export interface Tenant {
  readonly name: string;
  readonly task: (typeof TASKS)[number];
  readonly seed: number;
  readonly training: readonly TokenizedExample[];
  /** Disjoint from those of other tenants. */
  readonly search: readonly TokenizedExample[];
  /** For the quality of what was found; shared by the task's tenants. */
  readonly held: readonly TokenizedExample[];
}

export interface FleetOptions {
  readonly adapters: number;
  readonly searchRows: number;
  readonly trainRows: number;
  readonly seed: number;
}

/** Tenants of the four tasks in turn, in a random order. @throws RangeError where the rows do not suffice */
export async function makeFleet(
  base: LoadedBase,
  { adapters, searchRows, trainRows, seed }: FleetOptions,
): Promise<Tenant[]> {
  const random = Random.fromSeed(seed);
  const tokenize = async (task: string, ...splits: string[]): Promise<TokenizedExample[]> => {
    const lists = await Promise.all(
      splits.map((split) => loadDataset(path.join(FAMILY, 'data', task, `${split}.jsonl`))),
    );
    return random.shuffle(tokenizeRows(lists.flat(), { tokenizer: base.tokenizer, config: base.model.config }));
  };
  const perTask = Math.ceil(adapters / TASKS.length);
  const tenants: Tenant[] = [];
  for (const task of TASKS) {
    const [rows, training] = [await tokenize(task, 'validation', 'test'), await tokenize(task, 'train')];
    if ((perTask + 1) * searchRows > rows.length) {
      throw new RangeError(
        `${perTask} tenants with ${searchRows} search rows each do not leave as many of ${rows.length} rows of ${task}`,
      );
    }
    for (let i = 0; i < perTask; i++) {
      tenants.push({
        name: `${task}-${i}`,
        task,
        seed: seed + i,
        training: random.shuffle([...training]).slice(0, trainRows),
        search: rows.slice(i * searchRows, (i + 1) * searchRows),
        held: rows.slice(perTask * searchRows),
      });
    }
  }
  return random.shuffle(tenants).slice(0, adapters);
}

/** The tenant's adapter for the old base: trained, or read from the folder where an earlier run has left it. */
export async function adapterOf(
  tenant: Tenant,
  old: LoadedBase,
  { folder, steps }: { folder: string; steps: number },
): Promise<Adapter> {
  const saved = path.join(folder, `${tenant.name}-${tenant.seed}-${tenant.training.length}-${steps}`);
  if (
    await access(saved).then(
      () => true,
      () => false,
    )
  )
    return loadAdapter(saved, old.model.config);
  const { config, weights, fingerprint } = old.model;
  const initial = createAdapter({
    base: config,
    weights,
    rank: 8,
    alpha: 16,
    targetModules: 'all-linear',
    seed: tenant.seed,
  });
  const { adapter } = await train({
    runtime: old.runtime,
    initial,
    examples: tenant.training,
    steps,
    batchSize: 16,
    learningRate: 2e-3,
    seed: tenant.seed,
  });
  await saveAdapter(saved, adapter, {
    manifest: { baseFingerprint: fingerprint, strategy: 'train', metrics: { steps } },
    replace: true,
  });
  return adapter;
}
