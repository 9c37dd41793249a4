import path from 'node:path';
import { distillationOf } from '../../../core/adaptation/distillation/distillation.ts';
import { generateAnswers } from '../../../core/data/evaluation/generated-answers.ts';
import { measure } from '../../../core/data/evaluation/measure.ts';
import { promptTokens, type TokenizedExample } from '../../../core/data/example.ts';
import type { BaseCache, LoadedBase } from '../../../core/engine/base-cache.ts';
import { withAnswer } from '../../../core/formats/dataset/dataset-row.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import type { MatrixProducts } from '../../../core/linalg/products.ts';
import { evolutionBetweenFolders } from '../../../core/method/evolution/folder-evolution.ts';
import { COPY, REVERT } from '../../../core/method/fusion/coefficients.ts';
import { Fusion } from '../../../core/method/fusion/fusion.ts';
import { DEFAULT_REGULARIZATION } from '../../../core/method/regularization/regularization.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import { resolveJobOptions } from '../../../core/options/job-settings.ts';
import { countFlips } from '../../../core/statistics/paired-statistics.ts';
import { train } from '../../../core/training/trainer.ts';
import type { Experiment } from '../config/load-experiment.ts';
import { ensureTenant, loadTenantData, type Tenant, type TenantData } from '../measurement/tenant.ts';

/** Targets of the trainings: the old version's answers as completions, or its soft targets for these answers. */
const TARGETS = ['completions', 'soft targets'] as const;
export const STARTS = { copy: COPY, revert: REVERT } as const;
export type Start = keyof typeof STARTS;
type Targets = (typeof TARGETS)[number];

/** Adapter that a record is about. Records of the first run have no number of rows; it was 64. */
interface Subject {
  readonly task: string;
  readonly seed: number;
  readonly rows?: number;
  readonly start: Start;
  /** Targets of the training, or null for the untrained start. Kept records also have targets that no longer exist. */
  readonly targets: string | null;
}

/** Scores of an adapter on the test rows, beside those of the old version on the old base. */
export interface FixedStepsRecord extends Subject {
  /** Mean score of the test rows: the share that is right, or ROUGE-L. */
  readonly right: number;
  readonly oldRight: number;
  /** Negative flips as a share of the test rows. Null if the metric does not judge rows right or wrong. */
  readonly flips: number | null;
}

export interface FixedStepsOptions {
  readonly bases: BaseCache;
  readonly products: MatrixProducts;
  readonly starts: readonly Start[];
  /** Folder for the tenants and their labels. */
  readonly out: string;
  /** Whether an adapter is skipped, because its record is known. */
  readonly isKnown: (subject: Subject) => boolean;
}

/** Whether two records are of the same adapter. */
export function isSame(one: Subject, other: Subject): boolean {
  return (['task', 'seed', 'rows', 'start', 'targets'] as const).every((key) => one[key] === other[key]);
}

/** Tenant with its old adapter, rows and bases, which all of its trainings share. */
interface Trained {
  readonly experiment: Experiment;
  readonly tenant: Tenant;
  readonly old: Adapter;
  readonly data: TenantData;
  readonly bases: { readonly old: LoadedBase; readonly new: LoadedBase };
}

/**
 * Trains the tenants' adapters for the experiment's `max_steps` from each start, once on each of {@link TARGETS},
 * without a gate, and counts the test rows on which each agrees with the old version. It uses the first evolution,
 * adapter and strategy of the experiment.
 */
export async function* measureFixedSteps(
  experiment: Experiment,
  options: FixedStepsOptions,
): AsyncGenerator<FixedStepsRecord> {
  const { base, evolutions, tasks, seeds } = experiment;
  const loaded = { old: await options.bases.load(base), new: await options.bases.load(evolutions[0]!.base) };
  const evolution = await evolutionBetweenFolders(base, evolutions[0]!.base, { products: options.products });
  for (const seed of seeds) {
    for (const task of tasks) {
      const open = openSubjects(experiment, { task: task.name, seed }, options);
      if (open.length === 0) continue;
      const given = await makeTenant(experiment, { task, seed, bases: loaded, out: options.out });
      const trained = await answered(given, Math.max(...experiment.rows));
      const fusion = await Fusion.prepare(trained.old, evolution, { products: options.products });
      const before = await scoresOf(trained, loaded.old, trained.old);
      for (const subject of open) {
        const initial = subject.start === 'copy' ? trained.old : await fusion.at(STARTS[subject.start]);
        const after = await scoresOf(
          trained,
          loaded.new,
          await trainedOn(trained, { ...subject, initial, ...options }),
        );
        const flips = countFlips(before, after).losses / after.length;
        yield { ...subject, right: meanOf(after), oldRight: meanOf(before), flips };
      }
    }
  }
}

/** Lists a tenant's adapters without a record. An untrained start is measured once, with the first number of rows. */
function openSubjects(
  { rows: sizes }: Experiment,
  tenant: Pick<Subject, 'task' | 'seed'>,
  { starts, isKnown }: FixedStepsOptions,
): (Subject & { readonly rows: number; readonly targets: Targets | null })[] {
  return sizes
    .flatMap((rows) =>
      starts.flatMap((start) => [null, ...TARGETS].map((targets) => ({ ...tenant, rows, start, targets }))),
    )
    .filter(({ rows, targets }) => targets !== null || rows === sizes[0])
    .filter((subject) => !isKnown(subject));
}

async function makeTenant(
  experiment: Experiment,
  { task, seed, bases, out }: Pick<Trained, 'bases'> & Pick<Tenant['spec'], 'task' | 'seed'> & { readonly out: string },
): Promise<Trained> {
  const { base, adapters, test_rows: testRows, validation_rows: validationRows } = experiment;
  const spec = { base, task, recipe: adapters[0]!, seed, testRows, validationRows };
  const tenant = await ensureTenant(
    path.join(out, `${task.name}-${seed}`),
    spec,
    bases.old,
    new AbortController().signal,
  );
  const old = await loadAdapter(tenant.adapter, bases.new.model.config);
  return { experiment, tenant, old, data: await loadTenantData(tenant, bases.old), bases };
}

interface Training {
  readonly initial: Adapter;
  readonly rows: number;
  readonly targets: Targets | null;
  readonly out: string;
}

async function trainedOn(trained: Trained, { initial, targets, rows, out }: Training): Promise<Adapter> {
  if (targets === null) return initial;
  const { experiment, tenant, bases } = trained;
  const { hiddenSize } = bases.new.model.config;
  const options = { ...experiment.strategies[0]!.options, seed: tenant.spec.seed };
  const settings = resolveJobOptions(options, { control: false, hiddenSize });
  const { adapter } = await train({
    runtime: bases.new.runtime,
    initial,
    examples: await rowsFor(trained, { targets, settings, rows, out }),
    steps: settings.maxSteps,
    batchSize: settings.batchSize,
    learningRate: settings.learningRate,
    regularization: DEFAULT_REGULARIZATION,
    seed: settings.seed,
  });
  return adapter;
}

/** Prepares the tenant's first training rows with the targets that a job with these settings learns. */
async function rowsFor(
  { tenant, data, bases, old }: Trained,
  {
    targets,
    settings,
    rows: count,
    out,
  }: Omit<Training, 'initial'> & { readonly settings: ReturnType<typeof resolveJobOptions> },
): Promise<readonly TokenizedExample[]> {
  const { task, seed } = tenant.spec;
  const rows = data.train.slice(0, count);
  const { precision } = bases.old.precision;
  const teacher = { version: 'old', precision, adapter: old, loadBase: () => Promise.resolve(bases.old) } as const;
  const distillation = distillationOf({
    spec: { kind: 'adaptation', workDir: path.join(out, `${task.name}-${seed}-labels`) },
    settings,
    data: { training: () => rows, canTrain: true, search: [], gate: [], choices: data.choices },
    teacher: targets === 'soft targets' ? teacher : null,
    signal: new AbortController().signal,
  });
  if (distillation === null) return rows;
  return (await distillation.rowsAfter(settings.maxSteps - 1)).examples;
}

/**
 * Replaces the completions of training and test rows by the old version's answers, as for a tenant with prompts alone.
 */
async function answered(trained: Trained, rows: number): Promise<Trained> {
  const { tenant, data, bases, old } = trained;
  const answer = async (examples: readonly TokenizedExample[]): Promise<TokenizedExample[]> => {
    const { texts } = await generateAnswers(bases.old, old, examples, {});
    return examples.map((example, index) => {
      const { text, tokenIds: ids } = texts[index]!;
      const prompt = promptTokens(example);
      const labelSpans = [...example.labelSpans.slice(0, -1), [prompt.length, prompt.length + ids.length] as const];
      return { tokenIds: [...prompt, ...ids], labelSpans, row: withAnswer(example.row, text) };
    });
  };
  const task = { ...tenant.spec.task, metric: 'exact_match' as const };
  return {
    ...trained,
    tenant: { ...tenant, spec: { ...tenant.spec, task } },
    data: { train: await answer(data.train.slice(0, rows)), test: await answer(data.test), choices: null },
  };
}

async function scoresOf({ tenant, data }: Trained, base: LoadedBase, adapter: Adapter): Promise<Float64Array> {
  const { metric } = tenant.spec.task;
  const { perExample } = await measure(base, adapter, data.test, { metric, choices: data.choices });
  return perExample;
}

function meanOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
