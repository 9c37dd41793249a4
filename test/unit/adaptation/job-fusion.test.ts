import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadBaseModel } from '../../../core/formats/hugging-face/hugging-face-model.ts';
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
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../training/support/tiny-task.ts';

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

describe('a job whose rank grew', () => {
  const options = {
    strategy: 'relora',
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
      // No steps are left, so the best adapter comes from the checkpoint.
      const again = await run(spec);
      expect(again.best!.step).toBeGreaterThan(0);
      expect(await filesOf(again.candidateFolder!)).toEqual(files);
    },
  );
});

it.each([1, 3])('starts a job from the beginning if its checkpoint has another layout: %i', async (version) => {
  const options = { strategy: 'warm-start', max_steps: 4, evaluate_every: 2, batch_size: 8 } as const;
  const spec = jobSpec(`layout ${version}`, { options });
  const controller = new AbortController();
  const watch = new Watch((step) => step === 3 && controller.abort(new CancelledError({ keep: true })));
  expect(await run(spec, watch, controller)).toMatchObject({ state: 'cancelled', steps: 3 });
  const store = new CheckpointStore(path.join(spec.workDir, 'checkpoints'));
  const { state, tensors } = (await store.latest())!;
  for (const _ of [1, 2]) await store.save({ state: { ...(state as object), version }, tensors });
  const steps: number[] = [];
  expect(await run(spec, new Watch((step) => void steps.push(step)))).toMatchObject({ state: 'not_ready', steps: 4 });
  expect(steps).toEqual([1, 2, 3, 4]);
});
