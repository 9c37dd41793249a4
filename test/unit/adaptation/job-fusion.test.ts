import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { loadBaseModel } from '../../../core/formats/hugging-face/hugging-face-model.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import { readAdapterManifest } from '../../../core/formats/peft/adapter-manifest.ts';
import { saveAdapter } from '../../../core/formats/peft/peft-adapter-writer.ts';
import type { BaseModel } from '../../../core/models/base-model.ts';
import { createAdapter } from '../../../core/models/lora/lora-init.ts';
import { Random } from '../../../core/statistics/random.ts';
import type { CandidateRecord } from '../../../core/method/ladder/adaptation.ts';
import { CancelledError, runAdaptation } from '../../../core/adaptation/adaptation.ts';
import type { JobListener } from '../../../core/adaptation/job-listener.ts';
import type { JobSpec } from '../../../workers/training/protocol.ts';
import { Session } from '../../../core/engine/base-cache.ts';
import { plainJob } from '../training/support/tiny-job.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../training/support/tiny-task.ts';

let family: TinyFamily;
let session: Session;
const adapters = { LoRA: '', DoRA: '' };

beforeAll(async () => {
  family = await createTinyFamily();
  session = new Session({ threads: 1 });
  const base = await loadBaseModel(family.oldBase);
  for (const method of ['LoRA', 'DoRA'] as const) {
    adapters[method] = path.join(family.folder, method);
    await saveAdapter(adapters[method], awayFromZero(base, method === 'DoRA'));
  }
});
afterAll(async () => {
  await session.dispose();
  await removeTinyFamily(family);
});

/** An adapter that changes something. */
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

/** Hears of a job's candidates; `onProgress` may stop it. */
class Watch implements JobListener {
  readonly candidates: CandidateRecord[] = [];
  readonly published: string[] = [];
  readonly #onProgress: (step: number) => void;

  constructor(onProgress: (step: number) => void = () => undefined) {
    this.#onProgress = onProgress;
  }

  phase(): void {}
  metrics(): void {}
  baselines(): void {}
  old(): void {}
  progress(step: number): void {
    this.#onProgress(step);
  }
  event(event: Parameters<JobListener['event']>[0]): void {
    if (event.type === 'candidate') this.candidates.push(event.candidate);
  }
  async publish(_: number, dir: string): Promise<void> {
    this.published.push(dir);
  }
}

const run = (spec: JobSpec, watch = new Watch(), controller = new AbortController()) =>
  runAdaptation(session, spec, watch, controller.signal);

const filesOf = async (folder: string) => {
  return Promise.all(
    ['adapter_config.json', 'adapter_model.safetensors'].map((name) => readFile(path.join(folder, name))),
  );
};

describe('coefficients of each module in a job', () => {
  it.each(['LoRA', 'DoRA'] as const)(
    '%s: found by gradients of the engine, published, and said in readapt.json',
    async (method) => {
      const watch = new Watch();
      const gate = { kind: 'absolute', target: 100 } as const;
      const options = { strategy: 'relora', grouping: 'module', maxSteps: 0 } as const;
      const outcome = await run(jobSpec(`modules of ${method}`, { adapter: adapters[method], gate, options }), watch);
      expect(outcome).toMatchObject({ state: 'ready', best: { strategy: 'relora', step: 0 } });
      const { config } = await loadBaseModel(family.newBase);
      const loaded = await loadAdapter(watch.published[0]!, config);
      const manifest = await readAdapterManifest(watch.published[0]!);
      const { groups, alpha, beta } = watch.candidates[0]!;
      expect(manifest!.coefficients).toEqual({ alpha, beta, groups });
      expect(Object.keys(groups!.values)).toEqual([...loaded.modules.keys()]);
      expect(new Set(Object.values(groups!.values).map((pair) => JSON.stringify(pair))).size).toBeGreaterThan(3);
      // Better on rows that the gradients have not seen than the better of what they can begin with.
      const start = await Promise.all(
        (['reuse', 'revert'] as const).map((strategy) =>
          run(jobSpec(`${strategy} ${method}`, { adapter: adapters[method], options: { strategy } })),
        ),
      );
      expect(outcome.best!.value).toBeLessThan(Math.min(...start.map(({ best }) => best!.value)));
    },
  );

  it('stops between two micro-batches of the gradients when it is cancelled', async () => {
    const { runtime } = await session.base(family.newBase);
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
    const options = { strategy: 'relora', grouping: 'block', maxSteps: 0 } as const;
    const spec = jobSpec('cancelled', { options, data: { train: family.train, validation: family.train } });
    const whole = await calls({ ...spec, workDir: `${spec.workDir} whole` });
    // Two micro-batches each time.
    expect(whole.calls % 2).toBe(0);
    expect(await calls(spec, 3)).toMatchObject({ outcome: { state: 'cancelled', best: null }, calls: 3 });
    const resumed = await calls(spec);
    expect(resumed.outcome.best).toEqual(whole.outcome.best);
    expect(resumed.calls).toBe(whole.calls - 2);
    gradients.mockRestore();
  });
});

describe('a job whose rank grew', () => {
  const options = {
    strategy: 'relora',
    grouping: 'block',
    fusionRank: 7,
    maxSteps: 12,
    evaluateEvery: 4,
    batchSize: 8,
    learningRate: 5e-3,
  } as const;

  it.each(['LoRA', 'DoRA'] as const)(
    '%s: ends with the same bits when it is interrupted, and when it is taken up again at its end',
    async (method) => {
      const spec = jobSpec(`grown ${method}`, { adapter: adapters[method], options });
      const whole = await run({ ...spec, workDir: `${spec.workDir} whole` });
      expect(whole).toMatchObject({ state: 'not_ready', steps: 12 });
      const files = await filesOf(whole.candidateDir!);
      expect(JSON.parse(files[0]!.toString('utf8'))).toMatchObject({ r: 7, lora_alpha: 14 });

      for (const stopAt of [6, 10]) {
        const controller = new AbortController();
        const watch = new Watch((step) => step === stopAt && controller.abort(new CancelledError({ keep: true })));
        expect(await run(spec, watch, controller)).toMatchObject({ state: 'cancelled', steps: stopAt });
      }
      const resumed = await run(spec);
      expect(resumed.best).toEqual(whole.best);
      expect(await filesOf(resumed.candidateDir!)).toEqual(files);
      // Nothing is left to train: the best adapter is the checkpoint's.
      const again = await run(spec);
      expect(again.best!.step).toBeGreaterThan(0);
      expect(await filesOf(again.candidateDir!)).toEqual(files);
    },
  );
});
