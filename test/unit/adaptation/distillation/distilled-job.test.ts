import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { JobEvent } from '../../../../core/adaptation/job-events.ts';
import type { JobSpec } from '../../../../core/adaptation/job-spec.ts';
import { CancelledError, runAdaptation } from '../../../../core/adaptation/run-adaptation.ts';
import { tokenizeRows } from '../../../../core/data/tokenize.ts';
import { BaseCache } from '../../../../core/engine/base-cache.ts';
import { saveAdapter } from '../../../../core/formats/peft/peft-adapter-writer.ts';
import { train } from '../../../../core/training/trainer.ts';
import { tinyJob } from '../../training/support/tiny-job.ts';
import {
  createTinyFamily,
  removeTinyFamily,
  smallAdapter,
  tasteRows,
  toJsonl,
  type TinyFamily,
} from '../../training/support/tiny-task.ts';

let family: TinyFamily;
/** Training rows that say the opposite of what the old version has learned. */
const turnedRows = (count: number) =>
  tasteRows(count).map((row) => ({ ...row, completion: row.completion === ' sweet' ? ' sour' : ' sweet' }));

beforeAll(async () => {
  family = await createTinyFamily();
  const bases = new BaseCache({ threads: 1 });
  const base = await bases.load(family.oldBase);
  const { adapter } = await train({
    runtime: base.runtime,
    initial: smallAdapter(base.model.config),
    examples: tokenizeRows(tasteRows(64), { tokenizer: base.tokenizer, config: base.model.config }),
    steps: 60,
    batchSize: 16,
    learningRate: 2e-2,
    seed: 1,
  });
  await saveAdapter(family.adapter, adapter, { replace: true });
  await bases.dispose();
  await writeFile(path.join(family.folder, 'turned.jsonl'), toJsonl(turnedRows(64)));
  await writeFile(path.join(family.folder, 'many.jsonl'), toJsonl(turnedRows(1100)));
});
afterAll(() => removeTinyFamily(family));

/** A job that trains 4 steps from the copy on the turned rows, and whose old base is needed for nothing but labels. */
function jobOf(name: string, { options, ...changes }: Partial<JobSpec> = {}): JobSpec {
  const data = { train: path.join(family.folder, 'turned.jsonl'), validation: family.validation };
  const steps = { max_steps: 4, evaluate_every: 4 };
  return tinyJob(family, name, {
    data,
    adapterOptions: { append_eos: 'no' },
    baselines: 'needed',
    ...changes,
    options: { ...steps, ...options },
  });
}

/** Runs a job in a process of its own, as it were. */
async function run(
  job: JobSpec,
  { stopAt, capacity = 2 }: { readonly stopAt?: JobEvent['type']; readonly capacity?: number } = {},
) {
  const loaded: string[] = [];
  const losses: number[] = [];
  const cancellation = new AbortController();
  const bases = new BaseCache({
    threads: 1,
    capacity,
    onLoad: ({ folder }) => loaded.push(path.basename(folder)),
  });
  const onEvent = (event: JobEvent): void => {
    if (event.type === stopAt) cancellation.abort(new CancelledError({ keep: true }));
    if (event.type !== 'points') return;
    losses.push(...event.points.flatMap(({ name, value }) => (name === 'train_loss' ? [value] : [])));
  };
  try {
    const { state } = await runAdaptation(bases, job, onEvent, cancellation.signal);
    return { loaded, losses, state };
  } finally {
    await bases.dispose();
  }
}

const [OLD, NEW] = ['base', 'v2'];
const ranked = { metric: 'accuracy', gate: { kind: 'absolute', target: 1.1 } } as const;
const generated = { metric: 'exact_match', gate: { kind: 'absolute', target: 1.1 } } as const;

it('learns the completions of its rows, and loads no old base for that, without distillation', async () => {
  const { loaded, losses } = await run(jobOf('labels'));
  expect(loaded).toEqual([NEW]);
  expect(losses[0]).toBeGreaterThan(3);
});

it.each([
  ['answers that it generates', 'hard', generated],
  ['answers that it ranks first', 'hard', ranked],
  ['probabilities', 'soft', {}],
] as const)('learns what the old version says, by its %s', async (way, distill, changes) => {
  const { loaded, losses } = await run(jobOf(`taught ${way}`, { ...changes, options: { distill } }));
  expect(loaded).toEqual([NEW, OLD]);
  expect(losses[0]).toBeLessThan(1.5);
});

it('learns both by their weights', async () => {
  const lossAt = async (distill_weight: number) => {
    const { losses } = await run(jobOf(`weight ${distill_weight}`, { options: { distill: 'soft', distill_weight } }));
    return losses[0]!;
  };
  const [own, both, taught] = [await lossAt(0), await lossAt(0.25), await lossAt(1)];
  expect(both).toBeCloseTo(0.75 * own + 0.25 * taught, 4);
  expect(own).toBeCloseTo((await run(jobOf('own'))).losses[0]!, 4);
});

it('labels nothing where the copy is published', async () => {
  const anything = { kind: 'absolute', target: 1e9 } as const;
  const job = jobOf('published', { gate: anything, options: { strategy: 'warm-start', distill: 'soft' } });
  expect(await run(job, { capacity: 1 })).toMatchObject({ state: 'ready', loaded: [NEW] });
  expect(await readdir(job.workDir)).not.toContain('teacher');
});

it('learns the same where the new base has to make room for the teacher', async () => {
  const job = (name: string) => jobOf(name, { options: { distill: 'soft' } });
  const [beside, alone] = [await run(job('beside')), await run(job('alone'), { capacity: 1 })];
  expect(beside.losses).toHaveLength(4);
  expect(alone).toEqual({ ...beside, loaded: [NEW, OLD, NEW] });
});

it('labels the rows of later steps when a training gets there', async () => {
  const data = { train: path.join(family.folder, 'many.jsonl'), validation: family.validation };
  // 64 steps draw 1,024 rows.
  const job = (name: string) =>
    jobOf(name, { data, options: { distill: 'soft', batch_size: 16, max_steps: 70, evaluate_every: 64 } });
  const filesOf = ({ workDir }: JobSpec) => readdir(path.join(workDir, 'teacher'));
  const whole = job('many rows');
  const { losses, loaded } = await run(whole, { capacity: 1 });
  expect(losses).toHaveLength(70);
  expect(loaded).toEqual([NEW, OLD, NEW, OLD, NEW]);
  expect(await filesOf(whole)).toHaveLength(5);

  const stopped = job('many rows, stopped');
  expect(await run(stopped, { stopAt: 'points' })).toMatchObject({ state: 'cancelled', loaded: [NEW, OLD] });
  expect(await filesOf(stopped)).toHaveLength(4);
  const resumed = await run(stopped);
  expect(resumed.losses).toEqual(losses.slice(-resumed.losses.length));
  expect(await filesOf(stopped)).toHaveLength(5);
});

it('labels no row again when it starts again', async () => {
  const job = jobOf('again', { options: { distill: 'soft' } });
  const first = await run(job);
  await rm(path.join(job.workDir, 'checkpoints'), { recursive: true });
  const second = await run(job);
  expect(second.loaded).toEqual([NEW]);
  expect(second.losses).toEqual(first.losses);
});

it('goes on from a checkpoint with the same labels', async () => {
  const job = jobOf('resumed', { options: { distill: 'hard', max_steps: 8 }, ...generated });
  const whole = await run({ ...job, workDir: `${job.workDir}-whole` });
  const stopped = await run(job, { stopAt: 'points' });
  expect(stopped.state).toBe('cancelled');
  const { losses, loaded } = await run(job);
  expect(loaded).toEqual([NEW]);
  expect(losses.at(-1)).toBe(whole.losses.at(-1));
});

it('can be cancelled before anything is labelled', async () => {
  const job = jobOf('cancelled', { options: { distill: 'hard' }, ...generated });
  const { state, loaded } = await run(job, { stopAt: 'row_format' });
  expect([state, loaded]).toEqual(['cancelled', []]);
  expect(await readdir(job.workDir)).not.toContain('teacher');
});

it.each([
  ['a strategy that trains nothing', { options: { strategy: 'reuse' } }],
  ['no training rows', {}],
  ['a control, which shows what training on the rows gives', { kind: 'control' }],
] as const)('asks no teacher for %s', async (name, changes) => {
  const data = { train: null, validation: family.validation };
  const job = jobOf(name, {
    ...changes,
    ...(name === 'no training rows' && { data }),
    options: { distill: 'soft', ...('options' in changes && changes.options) },
  });
  expect((await run(job)).loaded).toEqual([NEW]);
});
