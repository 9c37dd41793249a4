import path from 'node:path';
import { distillationOf } from '../../core/adaptation/distillation/distillation.ts';
import { measure } from '../../core/data/evaluation/measure.ts';
import type { TokenizedExample } from '../../core/data/example.ts';
import type { BaseCache, LoadedBase } from '../../core/engine/base-cache.ts';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import type { MatrixProducts } from '../../core/linalg/products.ts';
import { evolutionBetweenFolders } from '../../core/method/evolution/folder-evolution.ts';
import { COPY, REVERT } from '../../core/method/fusion/coefficients.ts';
import { Fusion } from '../../core/method/fusion/fusion.ts';
import { DEFAULT_REGULARIZATION } from '../../core/method/regularization/regularization.ts';
import type { Adapter } from '../../core/models/lora/adapter.ts';
import { resolveJobOptions } from '../../core/options/job-settings.ts';
import { countFlips } from '../../core/statistics/paired-statistics.ts';
import { train } from '../../core/training/trainer.ts';
import { ensureTenant, loadTenantData, type Tenant, type TenantData } from '../lab/tenant.ts';

const FAMILY = path.join(import.meta.dirname, '../../examples/demo-family');
const [OLD, NEW] = [path.join(FAMILY, 'v1'), path.join(FAMILY, 'v2')];
const TASKS = { past: 'exact_match', plural: 'exact_match', sst2: 'accuracy', agnews: 'accuracy' } as const;
const RECIPE = { name: 'lora8', rank: 8, alpha: 16, rows: 1500, steps: 200, batch_size: 16, learning_rate: 2e-3 };

/** What each training learns, by the options of a job. */
export const TARGETS = {
  completions: { distill: 'none' },
  'hard labels': { distill: 'hard' },
  'soft targets, weight 0.5': { distill: 'soft', distill_weight: 0.5 },
  'soft targets': { distill: 'soft' },
} as const;
const STARTS = { copy: COPY, revert: REVERT } as const;

/** An adapter on the test rows, compared with the old version on the old base. */
export interface FixedStepsRecord {
  readonly task: string;
  readonly seed: number;
  readonly start: keyof typeof STARTS;
  /** Null for the start itself. */
  readonly targets: keyof typeof TARGETS | null;
  /** Shares of the test rows. */
  readonly right: number;
  readonly oldRight: number;
  readonly flips: number;
}

export interface FixedStepsOptions {
  readonly rows: number;
  readonly steps: number;
  readonly seeds: number;
  /** Folder for the tenants and their labels. */
  readonly out: string;
}

/** The number of records of each tenant: from each start the start itself and one for each of the targets. */
export const RECORDS_OF_TENANT = Object.keys(STARTS).length * (1 + Object.keys(TARGETS).length);

/** A tenant and what its trainings have in common. */
interface Trained {
  readonly task: keyof typeof TASKS;
  readonly seed: number;
  readonly tenant: Tenant;
  readonly old: Adapter;
  readonly data: TenantData;
  readonly bases: { readonly old: LoadedBase; readonly new: LoadedBase };
}

/**
 * Trains the adapters of the demo family for the same number of steps from copy and from revert, once for each of
 * {@link TARGETS}, without a gate, and scores each on the test rows.
 * @param isDone whether a tenant is left out, because its records are known
 */
export async function* measureFixedSteps(
  bases: BaseCache,
  products: MatrixProducts,
  options: FixedStepsOptions,
  isDone: (tenant: Pick<FixedStepsRecord, 'task' | 'seed'>) => boolean,
): AsyncGenerator<FixedStepsRecord> {
  const loaded = { old: await bases.load(OLD), new: await bases.load(NEW) };
  const evolution = await evolutionBetweenFolders(OLD, NEW, { products });
  for (let seed = 1; seed <= options.seeds; seed++) {
    for (const task of Object.keys(TASKS) as (keyof typeof TASKS)[]) {
      if (isDone({ task, seed })) continue;
      const trained = await makeTenant(loaded, { task, seed, out: options.out });
      const fusion = await Fusion.prepare(trained.old, evolution, { products });
      for (const start of Object.keys(STARTS) as (keyof typeof STARTS)[]) {
        const initial = start === 'copy' ? trained.old : await fusion.at(STARTS[start]);
        yield* measureStart(trained, { start, initial }, options);
      }
    }
  }
}

async function makeTenant(
  bases: Trained['bases'],
  { task, seed, out }: Pick<Trained, 'task' | 'seed'> & { readonly out: string },
): Promise<Trained> {
  const file = (name: string) => path.join(FAMILY, 'data', task, `${name}.jsonl`);
  const files = { train: file('train'), validation: file('validation'), test: file('test') };
  const spec = { base: OLD, task: { name: task, metric: TASKS[task], ...files }, recipe: RECIPE, seed };
  const tenant = await ensureTenant(path.join(out, `${task}-${seed}`), spec, bases.old, new AbortController().signal);
  const old = await loadAdapter(tenant.adapter, bases.new.model.config);
  return { task, seed, tenant, old, data: await loadTenantData(tenant, bases.old), bases };
}

async function* measureStart(
  trained: Trained,
  { start, initial }: { readonly start: keyof typeof STARTS; readonly initial: Adapter },
  options: FixedStepsOptions,
): AsyncGenerator<FixedStepsRecord> {
  const { task, seed, bases, old } = trained;
  const before = await scoresOf(trained, bases.old, old);
  const compare = async (targets: FixedStepsRecord['targets'], adapter: Adapter): Promise<FixedStepsRecord> => {
    const after = await scoresOf(trained, bases.new, adapter);
    const flips = countFlips(before, after).losses / after.length;
    return { task, seed, start, targets, right: meanOf(after), oldRight: meanOf(before), flips };
  };
  yield compare(null, initial);
  for (const targets of Object.keys(TARGETS) as (keyof typeof TARGETS)[]) {
    const { adapter } = await train({
      runtime: bases.new.runtime,
      initial,
      examples: await rowsFor(trained, targets, options),
      steps: options.steps,
      batchSize: 16,
      learningRate: settingsOf(trained, targets, options).learningRate,
      regularization: DEFAULT_REGULARIZATION,
      seed,
    });
    yield compare(targets, adapter);
  }
}

function settingsOf({ seed, bases }: Trained, targets: keyof typeof TARGETS, { steps }: FixedStepsOptions) {
  const { hiddenSize } = bases.new.model.config;
  return resolveJobOptions({ ...TARGETS[targets], max_steps: steps, seed }, { control: false, hiddenSize });
}

/** The tenant's first training rows, as a job with these options learns them. */
async function rowsFor(
  trained: Trained,
  targets: keyof typeof TARGETS,
  options: FixedStepsOptions,
): Promise<readonly TokenizedExample[]> {
  const { task, seed, data, bases, old } = trained;
  const rows = data.train.slice(0, options.rows);
  const distillation = distillationOf({
    spec: { metric: TASKS[task], workDir: path.join(options.out, `${task}-${seed}-labels`) },
    settings: settingsOf(trained, targets, options),
    data: { training: () => rows, canTrain: true, search: [], gate: [], choices: data.choices },
    format: { tokenizer: bases.old.tokenizer, config: bases.old.model.config },
    teacher: { adapter: old, loadBase: () => Promise.resolve(bases.old) },
    signal: new AbortController().signal,
  });
  if (distillation === null) return rows;
  return (await distillation.rowsAfter(options.steps - 1, bases.old.precision.precision)).examples;
}

async function scoresOf({ task, data }: Trained, base: LoadedBase, adapter: Adapter): Promise<Float64Array> {
  const { perExample } = await measure(base, adapter, data.test, { metric: TASKS[task], choices: data.choices });
  return perExample;
}

function meanOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
