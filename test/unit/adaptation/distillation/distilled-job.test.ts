import { readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { TEACHER_TOKENS } from '../../../../core/adaptation/distillation/soft-targets.ts';
import type { JobEvent } from '../../../../core/adaptation/job-events.ts';
import type { JobSpec } from '../../../../core/adaptation/job-spec.ts';
import { CancelledError, runAdaptation } from '../../../../core/adaptation/run-adaptation.ts';
import { tokenizeRows } from '../../../../core/data/tokenize.ts';
import { BaseCache } from '../../../../core/engine/base-cache.ts';
import { ProgramRuntime } from '../../../../core/engine/call/program-runtime.ts';
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
const promptsOf = (count: number, offset = 0) => toJsonl(tasteRows(count, offset).map(({ prompt }) => ({ prompt })));

beforeAll(async () => {
  family = await createTinyFamily();
  const bases = new BaseCache({ threads: 1 });
  const base = await bases.load(family.oldBase);
  const { adapter } = await train({
    runtime: base.runtime,
    initial: smallAdapter(base.model.config),
    examples: tokenizeRows(tasteRows(64), { tokenizer: base.tokenizer, config: base.model.config, appendEos: true }),
    steps: 60,
    batchSize: 16,
    learningRate: 2e-2,
    seed: 1,
  });
  await saveAdapter(family.adapter, adapter, { replace: true });
  await bases.dispose();
  await writeFile(path.join(family.folder, 'prompts.jsonl'), promptsOf(64));
  await writeFile(path.join(family.folder, 'held-prompts.jsonl'), promptsOf(48, 500));
  await writeFile(path.join(family.folder, 'many.jsonl'), promptsOf(1100));
});
afterAll(() => removeTinyFamily(family));

const dataOf = (train: string | null) => ({
  train: train && path.join(family.folder, train),
  validation: path.join(family.folder, 'held-prompts.jsonl'),
});

/** Job on prompts alone that trains 4 steps from the copy, regardless of the gate rows. */
function jobOf(name: string, { options, ...changes }: Partial<JobSpec> = {}): JobSpec {
  return tinyJob(family, name, {
    data: dataOf('prompts.jsonl'),
    metric: 'exact_match',
    gate: { kind: 'absolute', target: 1.1 },
    baselines: 'needed',
    ...changes,
    options: { max_steps: 4, evaluate_every: 4, max_new_tokens: 8, ...options },
  });
}

/** Runs a job as if in a process of its own. */
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

// The old base is loaded first, for the answers.
const [OLD, NEW] = ['base', 'v2'];
const filesOf = ({ workDir }: JobSpec) => readdir(path.join(workDir, 'teacher'));

it('learns soft targets, and a control the answers', async () => {
  const learned = async (job: JobSpec): Promise<Set<number>> => {
    const tokens = new Set<number>();
    const { gradients } = ProgramRuntime.prototype;
    const spy = vi.spyOn(ProgramRuntime.prototype, 'gradients').mockImplementation(function (
      this: ProgramRuntime,
      ...call
    ) {
      tokens.add(call[1].targets?.perLabel ?? 0);
      return gradients.apply(this, call);
    });
    const { losses } = await run(job);
    spy.mockRestore();
    expect(losses).toHaveLength(4);
    return tokens;
  };
  expect(await learned(jobOf('taught'))).toEqual(new Set([TEACHER_TOKENS]));
  expect(await learned(jobOf('control', { kind: 'control' }))).toEqual(new Set([0]));
});

it('labels nothing where the copy is published', async () => {
  const job = jobOf('published', { gate: { kind: 'absolute', target: 0 }, options: { strategy: 'warm-start' } });
  expect(await run(job, { capacity: 1 })).toMatchObject({ state: 'ready', loaded: [OLD, NEW] });
  expect(await readdir(job.workDir)).not.toContain('teacher');
});

it('learns the same where the new base has to make room for the teacher', async () => {
  const [beside, alone] = [await run(jobOf('beside')), await run(jobOf('alone'), { capacity: 1 })];
  expect(beside.losses).toHaveLength(4);
  expect(alone).toEqual({ ...beside, loaded: [OLD, NEW, OLD, NEW] });
});

it('labels the rows of later steps when a training gets there', async () => {
  // 64 steps draw 1,024 rows.
  const job = (name: string) =>
    jobOf(name, { data: dataOf('many.jsonl'), options: { batch_size: 16, max_steps: 70, evaluate_every: 64 } });
  const whole = job('many rows');
  const { losses, loaded } = await run(whole, { capacity: 1 });
  expect(losses).toHaveLength(70);
  expect(loaded).toEqual([OLD, NEW, OLD, NEW, OLD, NEW]);
  expect(await filesOf(whole)).toHaveLength(5);

  const stopped = job('many rows, stopped');
  expect(await run(stopped, { stopAt: 'points' })).toMatchObject({ state: 'cancelled', loaded: [OLD, NEW] });
  expect(await filesOf(stopped)).toHaveLength(4);
  const resumed = await run(stopped);
  expect(resumed.losses).toEqual(losses.slice(-resumed.losses.length));
  expect(await filesOf(stopped)).toHaveLength(5);
});

it('labels no row again when it starts again', async () => {
  const job = jobOf('again');
  const first = await run(job);
  await rm(path.join(job.workDir, 'checkpoints'), { recursive: true });
  const second = await run(job);
  expect(second.loaded).toEqual([NEW]);
  expect(second.losses).toEqual(first.losses);
});

it('goes on from a checkpoint with the same labels', async () => {
  const job = jobOf('resumed', { options: { max_steps: 8 } });
  const whole = await run({ ...job, workDir: `${job.workDir}-whole` });
  const stopped = await run(job, { stopAt: 'points' });
  expect(stopped.state).toBe('cancelled');
  const { losses, loaded } = await run(job);
  expect(loaded).toEqual([NEW]);
  expect(losses.at(-1)).toBe(whole.losses.at(-1));
});

it('can be cancelled before anything is labelled', async () => {
  const job = jobOf('cancelled');
  const { state, loaded } = await run(job, { stopAt: 'row_format' });
  expect([state, loaded]).toEqual(['cancelled', [OLD]]);
  expect(await readdir(job.workDir)).not.toContain('teacher');
});

it.each([
  ['a strategy that trains nothing', { options: { strategy: 'reuse' } }],
  ['no training rows', {}],
  ['a control, which shows what training on the answers gives', { kind: 'control' }],
] as const)('asks for no soft targets for %s', async (name, changes) => {
  const job = jobOf(name, { ...changes, ...(name === 'no training rows' && { data: dataOf(null) }) });
  await run(job);
  expect(await readdir(job.workDir)).not.toContain('teacher');
});
