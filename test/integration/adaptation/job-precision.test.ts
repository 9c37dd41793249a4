import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
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
import { createTinyFamily, removeTinyFamily, toJsonl, type TinyFamily } from '../../unit/training/support/tiny-task.ts';

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
      .slice(0, 80)
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

  it('asks rows of the task once for each kind of rows and base', async () => {
    const own = new BaseCache({ precision: 'int8', threads: 1 });
    const exact = vi.spyOn(own, 'withFloat32');
    try {
      const spec = copyJob('kinds', { kind: 'relative', margin: 100 });
      const first = await run(own, spec);
      expect(exact).toHaveBeenCalledTimes(1);
      expect(first.warnings.filter((message) => message.includes('int8'))).toEqual([]);
      await run(own, copyJob('kinds-again', { kind: 'relative', margin: 100 }));
      expect(exact).toHaveBeenCalledTimes(1);
    } finally {
      await own.dispose();
    }
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
  beforeAll(async () => void (family = await createTinyFamily()));
  afterAll(() => removeTinyFamily(family));
  afterEach(() => vi.restoreAllMocks());

  const WHY =
    'with this adapter on rows of this task, int8 moves gradients by 60.0 %, expected at most 25 % for gradients';
  let jobs = 0;

  /** Bases in int8, as if chosen by a test that found gradient errors of the given size. */
  function basesWith(gradients: number) {
    const bases = new BaseCache({ precision: 'int8', threads: 1 });
    vi.spyOn(bases, 'chooses', 'get').mockReturnValue(true);
    const asked = vi.spyOn(bases, 'rowErrors').mockImplementation((_, kind) => {
      return Promise.resolve(kind.startsWith('losses') ? { losses: 0.02 } : { gradients });
    });
    return { bases, kinds: () => asked.mock.calls.map(([, kind]) => kind.split(' ').slice(0, -3).join(' ')) };
  }

  /** Job with one candidate, trained for six steps. */
  const trained = (options: JobSpec['options'] = {}): JobSpec =>
    tinyJob(family, `gradients-${jobs++}`, { options: { max_steps: 6, evaluate_every: 6, ...options } });

  async function factorsOf(folder: string | null, { model }: LoadedBase) {
    return [...(await loadAdapter(folder!, model.config)).modules].map(([name, { a, b }]) => [name, a, b]);
  }

  it('is trained in float32 and measured in int8', async () => {
    const { bases, kinds } = basesWith(0.6);
    const exact = new BaseCache({ precision: 'f32', threads: 1 });
    try {
      const { outcome, warnings, manifest } = await run(bases, trained());
      expect(warnings).toContain(`${WHY}: it is trained in float32, and measured in int8`);
      expect(kinds()).toEqual(['losses', 'gradients carried']);
      const inFloat32 = (await run(exact, trained())).outcome;
      const [base, exactBase] = [await bases.load(family.newBase), await exact.load(family.newBase)];
      const factors = await factorsOf(outcome.candidateFolder, base);
      expect(factors).toEqual(await factorsOf(inFloat32.candidateFolder, exactBase));
      expect(manifest).toMatchObject({ precision: 'f32', judgedIn: 'int8' });
      expect(outcome.best!.metric.value).not.toBe(inFloat32.best!.metric.value);
    } finally {
      await bases.dispose();
      await exact.dispose();
    }
  });

  it('stays in int8 where float32 does not fit beside it, and where gradients agree', async () => {
    const tight = basesWith(0.6);
    const near = basesWith(0.2);
    try {
      vi.spyOn(tight.bases, 'withFloat32').mockResolvedValue(null);
      const refused = await run(tight.bases, trained());
      const message = `${WHY}: it is trained in int8, because float32 does not fit into the memory beside it`;
      expect(refused.warnings).toContain(message);
      const agreed = await run(near.bases, trained());
      expect(agreed.warnings.filter((warning) => warning.includes('int8'))).toEqual([]);
      const [base, other] = [await tight.bases.load(family.newBase), await near.bases.load(family.newBase)];
      const factors = await factorsOf(refused.outcome.candidateFolder, base);
      expect(factors).toEqual(await factorsOf(agreed.outcome.candidateFolder, other));
    } finally {
      await tight.bases.dispose();
      await near.bases.dispose();
    }
  });

  it('asks nothing of gradients where none are needed, and asks for a fresh adapter on its own', async () => {
    const { bases, kinds } = basesWith(0.2);
    try {
      await run(bases, trained({ strategy: 'reuse' }));
      expect(kinds()).toEqual(['losses']);
      await run(bases, trained({ strategy: 'scratch' }));
      expect(kinds()).toEqual(['losses', 'losses', 'gradients fresh']);
    } finally {
      await bases.dispose();
    }
  });

  it('keeps to what it has begun with when it is resumed', async () => {
    const spec = trained({ max_steps: 12, evaluate_every: 12 });
    const whole = trained({ max_steps: 12, evaluate_every: 12 });
    const first = basesWith(0.6);
    const second = basesWith(0.1);
    try {
      const controller = new AbortController();
      const onEvent = (event: JobEvent): void => {
        if (event.type === 'progress' && event.step >= 5) controller.abort(new CancelledError({ keep: true }));
      };
      const { state } = await runAdaptation(first.bases, spec, onEvent, controller.signal);
      expect(state).toBe('cancelled');
      const resumed = await run(second.bases, spec);
      expect(resumed.steps[0]).toBeGreaterThanOrEqual(5);
      expect(second.kinds()).not.toContain('gradients carried');
      const undisturbed = await run(first.bases, whole);
      const [base, other] = [await second.bases.load(family.newBase), await first.bases.load(family.newBase)];
      const factors = await factorsOf(resumed.outcome.candidateFolder, base);
      expect(factors).toEqual(await factorsOf(undisturbed.outcome.candidateFolder, other));
    } finally {
      await first.bases.dispose();
      await second.bases.dispose();
    }
  });
});

describe('a resumed job', () => {
  let family: TinyFamily;
  beforeAll(async () => void (family = await createTinyFamily()));
  afterAll(() => removeTinyFamily(family));

  let spec: JobSpec;
  let interruptedAt = 0;
  let jobs = 0;

  /** Leaves behind the checkpoint of an int8 job. */
  beforeEach(async () => {
    spec = tinyJob(family, `resumed-${jobs++}`, { options: { max_steps: 6, evaluate_every: 3 } });
    const bases = new BaseCache({ precision: 'int8', threads: 1 });
    const controller = new AbortController();
    const onEvent = (event: JobEvent): void => {
      if (event.type !== 'progress' || event.step < 5) return;
      interruptedAt = event.step;
      controller.abort(new CancelledError({ keep: true }));
    };
    const outcome = await runAdaptation(bases, spec, onEvent, controller.signal);
    expect(outcome.state).toBe('cancelled');
    await bases.dispose();
  });

  it('keeps its precision on a machine that would have chosen another', async () => {
    const bases = new BaseCache({ precision: 'f32', threads: 1 });
    const { manifest, steps } = await run(bases, spec);
    expect(manifest).toMatchObject({ precision: 'int8' });
    expect(steps[0]).toBeGreaterThanOrEqual(interruptedAt);
    await bases.dispose();
  });

  it('begins again on a device that does not have its precision, and says so', async () => {
    const bases = new BaseCache({ device: 'tfjs-cpu', precision: 'f32' });
    const { manifest, steps, warnings } = await run(bases, spec);
    expect(warnings).toContain('the job began in int8, which this device does not have, so it begins again');
    expect(steps[0]).toBe(1);
    expect(manifest).toMatchObject({ precision: 'f32' });
    await bases.dispose();
  });
});
