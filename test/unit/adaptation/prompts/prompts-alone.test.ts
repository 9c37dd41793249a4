import { cp, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JobEvent } from '../../../../core/adaptation/job-events.ts';
import type { JobSpec } from '../../../../core/adaptation/job-spec.ts';
import { CancelledError, runAdaptation } from '../../../../core/adaptation/run-adaptation.ts';
import type { ExampleRow } from '../../../../core/data/example.ts';
import { tokenizeRows } from '../../../../core/data/tokenize.ts';
import { BaseCache, type LoadedBase } from '../../../../core/engine/base-cache.ts';
import { saveAdapter } from '../../../../core/formats/peft/peft-adapter-writer.ts';
import type { Precision } from '../../../../core/options/precisions.ts';
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

const [OLD, NEW] = ['base', 'v2'];

let family: TinyFamily;
const fileOf = (name: string): string => path.join(family.folder, name);

/** Adapter that answers the opposite of the old version. */
const turned = (row: ReturnType<typeof tasteRows>[number]) => ({
  ...row,
  completion: row.completion === ' sweet' ? ' sour' : ' sweet',
});

beforeAll(async () => {
  family = await createTinyFamily();
  // No row has taught it to end its answers.
  await cp(family.adapter, fileOf('endless'), { recursive: true });
  await saveTaught(family.adapter, tasteRows(64));
  await saveTaught(fileOf('turned'), tasteRows(64).map(turned));
  await saveTaught(
    fileOf('silent'),
    tasteRows(64).map((row) => ({ ...row, completion: ' ' })),
  );
  await saveTaught(
    fileOf('foreign'),
    tasteRows(64).map((row) => ({ ...row, completion: row.completion === ' sweet' ? ' да' : ' ню' })),
  );
  const prompts = (count: number, offset: number) =>
    toJsonl(tasteRows(count, offset).map(({ prompt }) => ({ prompt })));
  await writeFile(fileOf('prompts.jsonl'), prompts(64, 0));
  await writeFile(fileOf('held-prompts.jsonl'), prompts(48, 500));
});
afterAll(() => removeTinyFamily(family));

/** Saves an adapter that answers as the rows do, and then ends. */
async function saveTaught(folder: string, rows: readonly ExampleRow[]): Promise<void> {
  const bases = new BaseCache({ threads: 1 });
  const base = await bases.load(family.oldBase);
  const { adapter } = await train({
    runtime: base.runtime,
    initial: smallAdapter(base.model.config),
    examples: tokenizeRows(rows, { tokenizer: base.tokenizer, config: base.model.config, appendEos: true }),
    steps: 60,
    batchSize: 16,
    learningRate: 2e-2,
    seed: 1,
  });
  await saveAdapter(folder, adapter, { replace: true });
  await bases.dispose();
}

/** Job on prompts alone that tries the copy. By default its new base is the old one. */
function jobOf(name: string, { options, ...changes }: Partial<JobSpec> = {}): JobSpec {
  return tinyJob(family, name, {
    newBase: family.oldBase,
    data: { train: fileOf('prompts.jsonl'), validation: fileOf('held-prompts.jsonl') },
    metric: 'exact_match',
    gate: { kind: 'relative', margin: 0.2 },
    baselines: 'needed',
    ...changes,
    options: { strategy: 'reuse', ...options },
  });
}

/** Job that trains four steps on the new base, from the copy. */
const training = {
  gate: { kind: 'absolute', target: 1.1 },
  options: { strategy: 'warm-start', max_steps: 4, evaluate_every: 4 },
} as const;

interface RunOptions {
  readonly precision?: Precision;
  /** Event at which the job is interrupted. */
  readonly stopAt?: JobEvent['type'];
}

async function run(job: JobSpec, { precision = 'f32', stopAt }: RunOptions = {}) {
  const loaded: string[] = [];
  const precisions: Precision[] = [];
  const losses: number[] = [];
  const events = new Set<string>();
  const cancellation = new AbortController();
  const onLoad = (base: LoadedBase): void => {
    loaded.push(path.basename(base.folder));
    precisions.push(base.precision.precision);
  };
  const bases = new BaseCache({ threads: 1, precision, onLoad });
  const onEvent = (event: JobEvent): void => {
    events.add(event.type);
    if (event.type === stopAt) cancellation.abort(new CancelledError({ keep: true }));
    if (event.type !== 'points') return;
    losses.push(...event.points.flatMap(({ name, value }) => (name === 'train_loss' ? [value] : [])));
  };
  try {
    const outcome = await runAdaptation(bases, job, onEvent, cancellation.signal);
    return { ...outcome, loaded, precisions, losses, events };
  } finally {
    await bases.dispose();
  }
}

it('certifies an adapter by its agreement with the old version', async () => {
  const outcome = await run(jobOf('agrees'));
  expect(outcome).toMatchObject({
    state: 'ready',
    target: 0.8,
    anchor: { version: 'old', value: 1, outcomes: null },
    best: { metric: { name: 'exact_match', value: 1, rows: 32 }, certificate: { verdict: 'passed' } },
    warnings: [],
    rowFormat: { appendEos: true, appendEosReason: 'the old version ends 48 of its 48 answers' },
  });
  // The old version agrees with itself by definition.
  expect(outcome.events).not.toContain('old_measured');
  // The job itself measures the baselines of its report, because its answers are deleted with it.
  expect(outcome.baselines).toEqual({ old: 1, copy: 1, none: expect.any(Number) });
  expect(outcome.baselines.none).toBeLessThan(0.5);
});

it('holds an adapter that disagrees with the old version', async () => {
  const outcome = await run(jobOf('disagrees', { newBase: fileOf('v2'), gate: { kind: 'relative', margin: 0 } }));
  expect(outcome).toMatchObject({ state: 'not_ready', anchor: { value: 1 }, target: 1 });
  expect(outcome.loaded).toEqual([OLD, NEW]);
});

it('trains on what the old version says', async () => {
  const learning = await run(jobOf('learns', { ...training, newBase: fileOf('v2') }));
  expect(learning.losses[0]).toBeLessThan(1.5);
  // An adapter that answers the opposite reads the prompts differently, and learns as easily.
  const other = await run(
    jobOf('learns the opposite', { ...training, newBase: fileOf('v2'), adapter: fileOf('turned') }),
  );
  expect(other.losses[0]).toBeLessThan(1.5);
});

it('trains a control on the answers, and asks for no soft targets', async () => {
  const job = jobOf('control', { ...training, newBase: fileOf('v2'), kind: 'control' });
  await run(job);
  expect(await readdir(job.workDir)).toContain('answers');
  expect(await readdir(job.workDir)).not.toContain('teacher');
});

it('lets no version answer again when a job starts again', async () => {
  const job = jobOf('again', { ...training, newBase: fileOf('v2') });
  const first = await run(job);
  await rm(path.join(job.workDir, 'checkpoints'), { recursive: true });
  const again = await run(job);
  expect(first.loaded).toEqual([OLD, NEW]);
  expect(again.loaded).toEqual([NEW]);
  expect(again.best?.metric).toEqual(first.best?.metric);
});

it('asks the imported version, of which the old one is a copy for another base', async () => {
  const anchored = (source: { adapter: string; base: string } | null): JobSpec =>
    jobOf('copy', { anchor: { number: 1, oldNumber: 2, outcomes: null, source } });
  const { workDir } = anchored(null);
  expect((await run(anchored(null))).loaded).toEqual([OLD]);
  await rm(path.join(workDir, 'checkpoints'), { recursive: true });
  expect((await run(anchored({ adapter: family.adapter, base: fileOf('v2') }))).loaded).toEqual([NEW, OLD]);
});

it.each([
  ['int8', 'absolute', ['f32', 'int8']],
  ['int8', 'relative', ['int8', 'int8']],
  ['f32', 'absolute', ['f32', 'f32']],
] as const)(
  'with bases in %s and a gate that is %s, answers are written as candidates are judged',
  async (precision, kind, found) => {
    const gate = kind === 'absolute' ? { kind, target: 0 } : { kind, margin: 1 };
    const outcome = await run(jobOf(`${precision} ${kind}`, { gate, newBase: fileOf('v2') }), { precision });
    expect(outcome.precisions).toEqual(found);
  },
);

describe('a job that is interrupted', () => {
  /** Job whose adapter never agrees with the imported one, from which the margin counts if it can be read. */
  const chained = (name: string, isReadable: boolean): JobSpec => {
    const source = isReadable ? { adapter: family.adapter, base: family.oldBase } : null;
    const anchor = { number: 1, oldNumber: 2, outcomes: null, source };
    const options = { strategy: 'warm-start', max_steps: 40, evaluate_every: 4, max_new_tokens: 6 } as const;
    const gate = { kind: 'relative', margin: 0.01 } as const;
    return jobOf(name, { adapter: fileOf('endless'), newBase: fileOf('v2'), gate, anchor, options });
  };
  const interrupted = async (job: JobSpec) => expect((await run(job, { stopAt: 'points' })).state).toBe('cancelled');

  it('goes on with the same answers', async () => {
    const job = chained('same', true);
    await interrupted(job);
    const { events, anchor, warnings } = await run(job);
    expect([events.has('resumed'), anchor?.version, warnings]).toEqual([true, 'anchor', []]);
  });

  it('begins again where the version that wrote the answers is gone', async () => {
    await interrupted(chained('gone', true));
    const { events, anchor, warnings } = await run(chained('gone', false));
    expect([events.has('resumed'), anchor?.version]).toEqual([false, 'old']);
    expect(warnings).toContain('the answers to the prompts are not those that the job began with, so it begins again');
  });

  it('keeps to the old version where the imported one comes back', async () => {
    await interrupted(chained('back', false));
    const { events, anchor, warnings } = await run(chained('back', true));
    expect([events.has('resumed'), anchor?.version]).toEqual([true, 'old']);
    expect(warnings[0]).toContain('its files or its base could not be read when the job began');
  });
});

it.each([
  ['that is given', 7, { adapterOptions: { max_length: 64 }, options: { max_new_tokens: 7 } }],
  ['that leaves half of a row for the prompt', 20, { adapterOptions: { max_length: 40 } }],
  [
    'that is given, but leaves no room for the prompt',
    20,
    { adapterOptions: { max_length: 40 }, options: { max_new_tokens: 39 } },
  ],
])('compares an old version that goes on for ever up to the limit %s', async (name, limit, changes) => {
  const outcome = await run(jobOf(`endless ${name}`, { adapter: fileOf('endless'), ...changes }));
  expect(outcome).toMatchObject({ state: 'ready', best: { metric: { value: 1 } }, rowFormat: { appendEos: false } });
  expect(outcome.warnings).toContain(
    `48 of 48 answers of the old version do not end within ${limit} tokens, and versions are compared up to there: ` +
      'a larger max_new_tokens, up to half of max_length, lets it go on',
  );
});

it('refuses an old version that answers nothing', async () => {
  await expect(run(jobOf('silent', { adapter: fileOf('silent') }))).rejects.toThrow(
    'the old version answers none of the 32 gate prompts',
  );
});

it('refuses answers in which the metric counts nothing', async () => {
  const job = (name: string, metric: JobSpec['metric'], adapter: string) =>
    jobOf(`uncounted ${name}`, { metric, adapter: fileOf(adapter) });
  await expect(run(job('all', 'rouge_l', 'foreign'))).rejects.toMatchObject({
    code: 'insufficient_data',
    message: expect.stringMatching(
      new RegExp(
        String.raw`^rouge_l counts no word in 3\d of 32 answers of the old version to gate prompts, ` +
          '.* 10 % .* the metric exact_match',
      ),
    ) as string,
  });
  for (const metric of ['exact_match', 'token_f1'] as const) {
    expect(await run(job(metric, metric, 'foreign'))).toMatchObject({ state: 'ready', warnings: [] });
  }
});

it('answers no more training rows than may be measured', async () => {
  const few = await run(
    jobOf('few training', { ...training, measuredTokens: 200, options: { ...training.options, max_new_tokens: 2 } }),
  );
  const [, used] = /^(\d+) of 32 training rows are answered, .* take 200 tokens/m.exec(few.warnings.join('\n'))!;
  expect(Number(used)).toBeLessThan(20);
});

it.each(['accuracy', 'loss'] as const)('refuses the metric %s, before anything is loaded', async (metric) => {
  await expect(run(jobOf(metric, { metric }))).rejects.toMatchObject({
    code: 'insufficient_data',
    message: expect.stringContaining(`metric ${metric} needs rows with answers, and the dataset has prompts alone`),
  });
});

it('refuses prompts alone beside rows with answers', async () => {
  const data = { train: family.train, validation: fileOf('held-prompts.jsonl') };
  await expect(run(jobOf('mixed', { data }))).rejects.toThrow(
    'the training rows (train.jsonl) have answers, and the held-out rows (held-prompts.jsonl) have none',
  );
});

it('lets the imported version answer, so that what is lost does not add up', async () => {
  const source = { adapter: family.adapter, base: family.oldBase };
  const anchor = { number: 1, oldNumber: 2, outcomes: null, source };
  const outcome = await run(jobOf('chain', { adapter: fileOf('turned'), anchor }));
  expect(outcome).toMatchObject({ state: 'not_ready', anchor: { version: 'anchor', value: 1 }, baselines: { old: 0 } });
});

it.each([
  ['is gone', null, 'are gone'],
  ['cannot be read', { adapter: 'nowhere', base: 'nowhere' }, 'cannot be read'],
] as const)('lets the old version answer where the imported one %s', async (_, source, reason) => {
  const anchor = { number: 1, oldNumber: 2, outcomes: null, source };
  const outcome = await run(jobOf(`gone ${reason}`, { adapter: fileOf('turned'), anchor }));
  expect(outcome).toMatchObject({ state: 'ready', anchor: { version: 'old', value: 1 } });
  expect(outcome.warnings).toEqual([
    'version 2, which is carried over, answers the prompts, and the margin counts from it and not from version 1, ' +
      `which was imported: its files or its base ${reason}`,
  ]);
});

it('answers no more gate rows than may be measured', async () => {
  const outcome = await run(jobOf('few', { measuredTokens: 200, options: { max_new_tokens: 2 } }));
  const [, used] = /^(\d+) of 32 gate rows are used, a random sample/m.exec(outcome.warnings.join('\n'))!;
  expect(Number(used)).toBeLessThan(20);
  expect(outcome.best?.metric.rows).toBe(Number(used));
  const [, answers] = /of its (\d+) answers/.exec(outcome.rowFormat!.appendEosReason)!;
  expect(Number(answers)).toBeLessThanOrEqual(2 * Number(used));
});

it('cuts prompts that leave no room for an answer, and says so', async () => {
  const outcome = await run(jobOf('long', { adapterOptions: { max_length: 12 }, options: { max_new_tokens: 4 } }));
  expect(outcome.state).toBe('ready');
  expect(outcome.warnings[0]).toMatch(
    new RegExp(
      '^48 of 48 prompts have more than 8 tokens and lose their beginning, so that .* ' +
        String.raw`answer: held-prompts.jsonl: line \d+, `,
    ),
  );
});
