import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { loadBaseModel } from '../../../core/formats/hugging-face/hugging-face-model.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import { readAdapterManifest } from '../../../core/formats/peft/adapter-manifest.ts';
import { saveAdapter } from '../../../core/formats/peft/peft-adapter-writer.ts';
import type { BaseModel } from '../../../core/models/base-model.ts';
import { createAdapter } from '../../../core/models/lora/lora-init.ts';
import { Random } from '../../../core/statistics/random.ts';
import type { CandidateRecord } from '../../../core/method/ladder/candidate.ts';
import { CancelledError, runAdaptation } from '../../../core/adaptation/run-adaptation.ts';
import type { JobEventHandler } from '../../../core/adaptation/job-events.ts';
import type { JobSpec } from '../../../core/adaptation/job-spec.ts';
import { CheckpointStore } from '../../../core/training/checkpoint.ts';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import { bestOf, plainJob } from '../training/support/tiny-job.ts';
import {
  createTinyFamily,
  removeTinyFamily,
  tasteRows,
  toJsonl,
  type TinyFamily,
} from '../training/support/tiny-task.ts';

let family: TinyFamily;
let bases: BaseCache;
const adapters = { LoRA: '', DoRA: '' };

beforeAll(async () => {
  family = await createTinyFamily();
  bases = new BaseCache({ threads: 1 });
  const base = await loadBaseModel(family.oldBase);
  for (const method of ['LoRA', 'DoRA'] as const) {
    adapters[method] = path.join(family.folder, method);
    await saveAdapter(adapters[method], awayFromZero(base, method === 'DoRA'));
  }
});
afterAll(async () => {
  await bases.dispose();
  await removeTinyFamily(family);
});

/** Makes an adapter that changes the output of the base. */
function awayFromZero({ config, weights }: BaseModel, useDora: boolean) {
  const fresh = createAdapter({
    base: config,
    weights,
    useDora,
    targetModules: ['q_proj', 'v_proj', 'up_proj'],
    rank: 4,
    alpha: 8,
    seed: 1,
  });
  const random = Random.fromSeed(2);
  const modules = [...fresh.modules].map(
    ([name, factors]) => [name, { ...factors, b: factors.b.map(() => 0.05 * random.normal()) }] as const,
  );
  return { ...fresh, modules: new Map(modules) };
}

function jobSpec(name: string, changes: Partial<JobSpec>): JobSpec {
  return plainJob(family, name, { adapter: adapters.LoRA, baselines: 'needed', ...changes });
}

/** Records a job's candidates and publications; `onProgress` may stop the job. */
class Watch {
  readonly candidates: CandidateRecord[] = [];
  readonly published: string[] = [];
  readonly #onProgress: (step: number) => void;

  constructor(onProgress: (step: number) => void = () => undefined) {
    this.#onProgress = onProgress;
  }

  readonly onEvent: JobEventHandler = (event) => {
    if (event.type === 'progress') this.#onProgress(event.step);
    if (event.type === 'candidate') this.candidates.push(event.candidate);
    if (event.type === 'publication') this.published.push(event.folder);
  };
}

const run = (spec: JobSpec, watch = new Watch(), controller = new AbortController()) =>
  runAdaptation(bases, spec, watch.onEvent, controller.signal);

const filesOf = async (folder: string) => {
  return Promise.all(
    ['adapter_config.json', 'adapter_model.safetensors'].map((name) => readFile(path.join(folder, name))),
  );
};

describe('coefficients of each module in a job', () => {
  it.each(['LoRA', 'DoRA'] as const)(
    '%s: are found by gradients of the engine, published, and recorded in readapt.json',
    async (method) => {
      const watch = new Watch();
      const gate = { kind: 'absolute', target: 100 } as const;
      const options = { strategy: 'relora', grouping: 'module', max_steps: 0 } as const;
      const outcome = await run(jobSpec(`modules of ${method}`, { adapter: adapters[method], gate, options }), watch);
      expect(outcome).toMatchObject({ state: 'ready', best: { strategy: 'relora', step: 0 } });
      const { config } = await loadBaseModel(family.newBase);
      const loaded = await loadAdapter(watch.published[0]!, config);
      const manifest = await readAdapterManifest(watch.published[0]!);
      const { groups, alpha, beta } = watch.candidates[0]!;
      expect(manifest!.coefficients).toEqual({ alpha, beta, groups });
      expect(Object.keys(groups!.values)).toEqual([...loaded.modules.keys()]);
      expect(new Set(Object.values(groups!.values).map((pair) => JSON.stringify(pair))).size).toBeGreaterThan(3);
      // On rows that the gradients have not seen, they beat the better of their two starting points.
      const start = await Promise.all(
        (['reuse', 'revert'] as const).map((strategy) =>
          run(jobSpec(`${strategy} ${method}`, { adapter: adapters[method], options: { strategy } })),
        ),
      );
      expect(outcome.best!.metric.value).toBeLessThan(Math.min(...start.map(({ best }) => best!.metric.value)));
    },
  );

  it('stop between two micro-batches of the gradients when the job is cancelled', async () => {
    const { runtime } = await bases.load(family.newBase);
    const compute = runtime.gradients.bind(runtime);
    const gradients = vi.spyOn(runtime, 'gradients');
    const calls = async (spec: JobSpec, stopAt = Infinity) => {
      const controller = new AbortController();
      gradients.mockClear().mockImplementation((...batch) => {
        if (gradients.mock.calls.length === stopAt) controller.abort(new CancelledError({ keep: true }));
        return compute(...batch);
      });
      return { outcome: await run(spec, new Watch(), controller), calls: gradients.mock.calls.length };
    };
    const options = { strategy: 'relora', grouping: 'block', max_steps: 0 } as const;
    const held = path.join(family.folder, 'many.jsonl');
    await writeFile(held, toJsonl(tasteRows(192)));
    const spec = jobSpec('cancelled', { options, data: { train: family.train, validation: held } });
    const whole = await calls({ ...spec, workDir: `${spec.workDir} whole` });
    // Each gradient takes two micro-batches.
    expect(whole.calls % 2).toBe(0);
    expect(await calls(spec, 3)).toMatchObject({ outcome: { state: 'cancelled', best: null }, calls: 3 });
    const resumed = await calls(spec);
    expect(bestOf(resumed.outcome)).toEqual(bestOf(whole.outcome));
    expect(resumed.calls).toBe(whole.calls - 2);
    gradients.mockRestore();
  });
});

describe('a job whose rank grew', () => {
  const options = {
    strategy: 'relora',
    grouping: 'block',
    fusion_rank: 7,
    max_steps: 12,
    evaluate_every: 4,
    batch_size: 8,
    learning_rate: 5e-3,
  } as const;

  it.each(['LoRA', 'DoRA'] as const)(
    '%s: ends with the same bits if it is interrupted, and if it is run again after its end',
    async (method) => {
      const spec = jobSpec(`grown ${method}`, { adapter: adapters[method], options });
      const whole = await run({ ...spec, workDir: `${spec.workDir} whole` });
      expect(whole).toMatchObject({ state: 'not_ready', steps: 12 });
      const files = await filesOf(whole.candidateFolder!);
      expect(JSON.parse(files[0]!.toString('utf8'))).toMatchObject({ r: 7, lora_alpha: 14 });

      for (const stopAt of [6, 10]) {
        const controller = new AbortController();
        const watch = new Watch((step) => step === stopAt && controller.abort(new CancelledError({ keep: true })));
        expect(await run(spec, watch, controller)).toMatchObject({ state: 'cancelled', steps: stopAt });
      }
      const resumed = await run(spec);
      expect(bestOf(resumed)).toEqual(bestOf(whole));
      expect(await filesOf(resumed.candidateFolder!)).toEqual(files);
      // Nothing is left to train, so the best adapter comes from the checkpoint.
      const again = await run(spec);
      expect(again.best!.step).toBeGreaterThan(0);
      expect(await filesOf(again.candidateFolder!)).toEqual(files);
    },
  );
});

it('starts a job from the beginning if its checkpoint has another layout', async () => {
  const options = { strategy: 'warm-start', max_steps: 4, evaluate_every: 2, batch_size: 8 } as const;
  const spec = jobSpec('another layout', { options });
  const controller = new AbortController();
  const watch = new Watch((step) => step === 3 && controller.abort(new CancelledError({ keep: true })));
  expect(await run(spec, watch, controller)).toMatchObject({ state: 'cancelled', steps: 3 });
  const store = new CheckpointStore(path.join(spec.workDir, 'checkpoints'));
  const { state, tensors } = (await store.latest())!;
  for (const _ of [1, 2]) await store.save({ state: { ...(state as object), version: 1 }, tensors });
  const steps: number[] = [];
  expect(await run(spec, new Watch((step) => void steps.push(step)))).toMatchObject({ state: 'not_ready', steps: 4 });
  expect(steps).toEqual([1, 2, 3, 4]);
});
