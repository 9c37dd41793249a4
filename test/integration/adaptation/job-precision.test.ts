import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { JobEvent } from '../../../core/adaptation/job-events.ts';
import type { JobOutcome } from '../../../core/adaptation/job-outcome.ts';
import type { JobSpec } from '../../../core/adaptation/job-spec.ts';
import { CancelledError, runAdaptation } from '../../../core/adaptation/run-adaptation.ts';
import { meanLoss } from '../../../core/data/evaluation/measure.ts';
import { loadTaskData, type TaskData } from '../../../core/data/task-data.ts';
import { tokenizeRows } from '../../../core/data/tokenize.ts';
import type { ExampleRow } from '../../../core/data/example.ts';
import { BaseCache, type LoadedBase } from '../../../core/engine/base-cache.ts';
import { readAdapterManifest } from '../../../core/formats/peft/adapter-manifest.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import type { GateRule } from '../../../core/options/gates.ts';
import { tinyJob } from '../../unit/training/support/tiny-job.ts';
import {
  createTinyFamily,
  removeTinyFamily,
  tasteRows,
  toJsonl,
  type TinyFamily,
} from '../../unit/training/support/tiny-task.ts';

const FAMILY = path.join(import.meta.dirname, '../../../examples/demo-family');
const ADAPTER = path.join(FAMILY, 'adapters/sst2');

/** Runs a job and collects its warnings and publications. */
async function run(bases: BaseCache, spec: JobSpec, onEvent: (event: JobEvent) => void = () => undefined) {
  const warnings: string[] = [];
  let published: string | null = null;
  const steps: number[] = [];
  const outcome = await runAdaptation(
    bases,
    spec,
    (event) => {
      if (event.type === 'warning') warnings.push(event.message);
      if (event.type === 'publication') published = event.folder;
      if (event.type === 'progress') steps.push(event.step);
      onEvent(event);
    },
    new AbortController().signal,
  );
  const folder = published ?? outcome.candidateFolder;
  return { outcome, warnings, steps, manifest: folder === null ? null : await readAdapterManifest(folder) };
}

describe('a job on a real base in int8', () => {
  let folder: string;
  let bases: BaseCache;
  let base: LoadedBase;
  let adapter: Adapter;
  let data: TaskData;
  /** Mean losses on the gate rows. */
  let [int8, float32] = [0, 0];

  /** Finds rows on which int8 has less loss than float32 by chance, so that a target can lie between the two. */
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'readapt-precision-'));
    bases = new BaseCache({ precision: 'int8', threads: 1 });
    base = await bases.load(path.join(FAMILY, 'v2'));
    adapter = await loadAdapter(ADAPTER, base.model.config);
    const text = await readFile(path.join(FAMILY, 'data/sst2/test.jsonl'), 'utf8');
    const rows = text
      .trim()
      .split('\n')
      .slice(0, 48)
      .map((line) => JSON.parse(line) as ExampleRow);
    const options = { tokenizer: base.tokenizer, config: base.model.config };
    const examples = tokenizeRows(rows, options);
    const rounded = (await meanLoss(base.runtime, adapter, examples)).perExample;
    const exact = await bases.withFloat32(
      base,
      async (runtime) => (await meanLoss(runtime, adapter, examples)).perExample,
    );
    await writeFile(path.join(folder, 'rows.jsonl'), toJsonl(rows.filter((_, i) => rounded[i]! < exact![i]!)));
    data = await loadTaskData({ train: null, validation: path.join(folder, 'rows.jsonl') }, options);
    int8 = (await meanLoss(base.runtime, adapter, data.gate)).value;
    float32 = (await bases.withFloat32(base, async (runtime) => (await meanLoss(runtime, adapter, data.gate)).value))!;
  });
  afterEach(() => vi.restoreAllMocks());
  afterAll(async () => {
    await bases.dispose();
    await rm(folder, { recursive: true });
  });

  function copyJob(name: string, gate: GateRule): JobSpec {
    return {
      jobId: name,
      kind: 'adaptation',
      oldBase: path.join(FAMILY, 'v1'),
      newBase: path.join(FAMILY, 'v2'),
      adapter: ADAPTER,
      data: { train: null, validation: path.join(folder, 'rows.jsonl') },
      metric: 'loss',
      gate,
      evolution: null,
      options: { strategy: 'reuse' },
      workDir: path.join(folder, name),
      baselines: 'needed',
    };
  }

  /** Precision whose loss a job found, up to the effect of different batches. */
  function nearest({ best }: JobOutcome): 'int8' | 'float32' | 'neither' {
    const near = (loss: number) => Math.abs(best!.metric.value - loss) < Math.abs(int8 - float32) / 20;
    return near(int8) ? 'int8' : near(float32) ? 'float32' : 'neither';
  }

  // Comes first: later jobs find the answer of these two.
  it('asks rows of the task once for each kind of rows and base', async () => {
    const exact = vi.spyOn(bases, 'withFloat32');
    const first = await run(bases, copyJob('kinds', { kind: 'relative', margin: 100 }));
    expect(exact).toHaveBeenCalledTimes(1);
    expect(first.warnings.filter((message) => message.includes('int8'))).toEqual([]);
    await run(bases, copyJob('kinds-again', { kind: 'relative', margin: 100 }));
    expect(exact).toHaveBeenCalledTimes(1);
  });

  it('publishes nothing that reaches an absolute target in int8 alone', async () => {
    expect(int8).toBeLessThan(float32);
    const target = (int8 + float32) / 2;
    const { outcome, manifest } = await run(bases, copyJob('between', { kind: 'absolute', target }));
    expect(nearest(outcome)).toBe('float32');
    expect(outcome.best!.metric.value).toBeCloseTo(float32, 10);
    expect(manifest).toMatchObject({ precision: 'int8', judgedIn: 'f32' });
  });

  it('publishes what reaches it in float32, too, with the value and the outcomes in float32', async () => {
    const outcomes: string[] = [];
    const spec = copyJob('above', { kind: 'absolute', target: float32 + 0.01 });
    const { outcome, manifest } = await run(bases, spec, (event) => {
      if (event.type === 'publication') outcomes.push(event.outcomes.value.toFixed(8));
    });
    expect(outcome).toMatchObject({ state: 'ready', best: { judgedIn: 'f32' } });
    expect(manifest).toMatchObject({
      precision: 'int8',
      judgedIn: 'f32',
      metrics: { loss: outcome.best!.metric.value },
    });
    expect(outcomes).toEqual([float32.toFixed(8)]);
  });

  it('says that it was judged in int8 where there is no memory for float32', async () => {
    vi.spyOn(process, 'availableMemory').mockReturnValue(1e6);
    const spec = copyJob('memory', { kind: 'absolute', target: (int8 + float32) / 2 });
    const { outcome, manifest } = await run(bases, spec);
    expect(outcome).toMatchObject({ state: 'ready', best: { judgedIn: 'int8' } });
    expect(manifest).toMatchObject({ judgedIn: 'int8' });
  });

  it('compares int8 with int8 where the gate is relative', async () => {
    const exact = vi.spyOn(bases, 'withFloat32');
    const { outcome } = await run(bases, copyJob('relative', { kind: 'relative', margin: 100 }));
    expect(outcome).toMatchObject({ state: 'ready', best: { judgedIn: 'int8' } });
    expect(nearest(outcome)).toBe('int8');
    expect(exact).not.toHaveBeenCalled();
  });

  it('computes in float32 where the rows refuse int8, and only warns where int8 was asked for', async () => {
    vi.spyOn(bases, 'rowErrors').mockResolvedValue({ losses: 0.2 });
    const why = 'on rows of this task, int8 moves losses by 20.0 %, expected at most 10 % for losses';
    const gate = { kind: 'relative', margin: 100 } as const;
    const asked = await run(bases, copyJob('asked', gate));
    expect(asked.warnings).toContain(why);
    expect(asked.manifest).toMatchObject({ precision: 'int8' });
    vi.spyOn(bases, 'chooses', 'get').mockReturnValue(true);
    const chosen = await run(bases, copyJob('chosen', gate));
    expect(chosen.warnings).toContain(`${why}: the job is computed in float32`);
    expect(chosen.manifest).toMatchObject({ precision: 'f32', judgedIn: 'f32' });
    expect(nearest(chosen.outcome)).toBe('float32');
    vi.spyOn(bases.memory, 'holdsFloat32').mockReturnValue(false);
    const tight = await run(bases, copyJob('tight', gate));
    expect(tight.warnings).toContain(`${why}: the job stays in int8, because float32 does not fit into the memory`);
    expect(tight.manifest).toMatchObject({ precision: 'int8' });
  });
});

describe('a job whose gradients refuse int8', () => {
  let family: TinyFamily;
  /** Bases that find too large errors of gradients, and bases that find small ones. */
  let refusing: ReturnType<typeof basesWith>;
  let agreeing: ReturnType<typeof basesWith>;
  /** Job whose gradients were refused, and the kinds of rows that it asked for. */
  let refused: Awaited<ReturnType<typeof run>>;
  let asked: string[];

  beforeAll(async () => {
    family = await createTinyFamily();
    refusing = basesWith(0.6);
    agreeing = basesWith(0.1);
    refused = await run(refusing.bases, trained());
    asked = refusing.kinds();
  });
  afterAll(async () => {
    vi.restoreAllMocks();
    await refusing.bases.dispose();
    await agreeing.bases.dispose();
    await removeTinyFamily(family);
  });

  const WHY =
    'with this adapter on rows of this task, int8 moves gradients by 60.0 %, expected at most 25 % for gradients';
  let jobs = 0;

  /** Bases in int8, as if chosen by a test that found gradient errors of the given size. */
  function basesWith(gradients: number) {
    const bases = new BaseCache({ precision: 'int8', threads: 1, graphCacheDir: path.join(family.folder, 'cache') });
    vi.spyOn(bases, 'chooses', 'get').mockReturnValue(true);
    const spy = vi.spyOn(bases, 'rowErrors').mockImplementation((_, kind) => {
      return Promise.resolve(kind.startsWith('losses') ? { losses: 0.02 } : { gradients });
    });
    return { bases, kinds: () => spy.mock.calls.map(([, kind]) => kind.split(' ').slice(0, -3).join(' ')) };
  }

  /** Job with one candidate, trained for six steps. */
  const trained = (options: JobSpec['options'] = {}): JobSpec =>
    tinyJob(family, `gradients-${jobs++}`, { options: { max_steps: 6, evaluate_every: 6, ...options } });

  async function factorsOf({ outcome }: Pick<typeof refused, 'outcome'>, bases: BaseCache) {
    const { model } = await bases.load(family.newBase);
    const { modules } = await loadAdapter(outcome.candidateFolder!, model.config);
    return [...modules].map(([name, { a, b }]) => [name, a, b]);
  }

  it('is trained in float32 and measured in int8', async () => {
    expect(refused.warnings).toContain(`${WHY}: it is trained in float32, and measured in int8`);
    expect(asked).toEqual(['losses', 'gradients carried']);
    const exact = new BaseCache({ precision: 'f32', threads: 1 });
    try {
      const inFloat32 = await run(exact, trained());
      expect(await factorsOf(refused, refusing.bases)).toEqual(await factorsOf(inFloat32, exact));
      expect(refused.manifest).toMatchObject({ precision: 'f32', judgedIn: 'int8' });
      expect(refused.outcome.best!.metric.value).not.toBe(inFloat32.outcome.best!.metric.value);
    } finally {
      await exact.dispose();
    }
  });

  it('stays in int8 where float32 does not fit beside it, and where gradients agree', async () => {
    const exact = vi.spyOn(refusing.bases, 'withFloat32').mockResolvedValue(null);
    const tight = await run(refusing.bases, trained());
    exact.mockRestore();
    const message = `${WHY}: it is trained in int8, because float32 does not fit into the memory beside it`;
    expect(tight.warnings).toContain(message);
    const agreed = await run(agreeing.bases, trained());
    expect(agreed.warnings.filter((warning) => warning.includes('int8'))).toEqual([]);
    const factors = await factorsOf(tight, refusing.bases);
    expect(factors).toEqual(await factorsOf(agreed, agreeing.bases));
    expect(factors).not.toEqual(await factorsOf(refused, refusing.bases));
  });

  it('asks nothing of gradients where none are needed, and asks for a fresh adapter on its own', async () => {
    const { bases, kinds } = agreeing;
    const before = kinds().length;
    await run(bases, trained({ strategy: 'reuse' }));
    expect(kinds().slice(before)).toEqual(['losses']);
    await run(bases, trained({ strategy: 'scratch' }));
    expect(kinds().slice(before)).toEqual(['losses', 'losses', 'gradients fresh']);
  });

  it('keeps to what it has begun with when it is resumed', async () => {
    const spec = trained();
    const controller = new AbortController();
    const onEvent = (event: JobEvent): void => {
      if (event.type === 'progress' && event.step >= 3) controller.abort(new CancelledError({ keep: true }));
    };
    const { state } = await runAdaptation(refusing.bases, spec, onEvent, controller.signal);
    expect(state).toBe('cancelled');
    const before = agreeing.kinds().length;
    const resumed = await run(agreeing.bases, spec);
    expect(resumed.steps[0]).toBeGreaterThanOrEqual(3);
    expect(agreeing.kinds().slice(before)).not.toContain('gradients carried');
    expect(await factorsOf(resumed, agreeing.bases)).toEqual(await factorsOf(refused, refusing.bases));
  });
});

describe('a resumed job', () => {
  let family: TinyFamily;
  /** Job in int8 that was interrupted after a few steps. */
  let interrupted: JobSpec;
  let interruptedAt = 0;

  /** Leaves behind the checkpoint of an int8 job. */
  beforeAll(async () => {
    family = await createTinyFamily();
    await writeFile(family.train, toJsonl(tasteRows(16)));
    await writeFile(family.validation, toJsonl(tasteRows(8, 500)));
    interrupted = tinyJob(family, 'interrupted', { options: { max_steps: 4, evaluate_every: 2, batch_size: 4 } });
    const bases = new BaseCache({ precision: 'int8', threads: 1 });
    const controller = new AbortController();
    const onEvent = (event: JobEvent): void => {
      if (event.type !== 'progress' || event.step < 3) return;
      interruptedAt = event.step;
      controller.abort(new CancelledError({ keep: true }));
    };
    const outcome = await runAdaptation(bases, interrupted, onEvent, controller.signal);
    expect(outcome.state).toBe('cancelled');
    await bases.dispose();
  });
  afterAll(() => removeTinyFamily(family));

  /** Copies the interrupted job with its checkpoint. */
  async function copyOf(name: string): Promise<JobSpec> {
    const spec = { ...interrupted, workDir: path.join(family.folder, 'jobs', name) };
    await cp(interrupted.workDir, spec.workDir, { recursive: true });
    return spec;
  }

  it('keeps its precision on a machine that would have chosen another', async () => {
    const bases = new BaseCache({ precision: 'f32', threads: 1 });
    const { manifest, steps } = await run(bases, await copyOf('kept'));
    expect(manifest).toMatchObject({ precision: 'int8' });
    expect(interruptedAt).toBeGreaterThanOrEqual(3);
    expect(steps[0]).toBeGreaterThanOrEqual(interruptedAt);
    await bases.dispose();
  });

  it('begins again on a device that does not have its precision, and says so', async () => {
    const bases = new BaseCache({ device: 'tfjs-cpu', precision: 'f32' });
    const { manifest, steps, warnings } = await run(bases, await copyOf('begun-again'));
    expect(warnings).toContain('the job began in int8, which this device does not have, so it begins again');
    expect(steps[0]).toBe(1);
    expect(manifest).toMatchObject({ precision: 'f32' });
    await bases.dispose();
  });
});
