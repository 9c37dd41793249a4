import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { createRuntime } from '../../../core/engine/create-runtime.ts';
import { graphCacheDir } from '../../../src/config/graph-cache-dir.ts';
import { adamwInit, adamwUpdate, type AdamwState, type Arrays } from '../../../core/training/optimizer/adamw.ts';
import { clipGlobalNorm } from '../../../core/training/optimizer/clipping.ts';
import { factorArrays, withFactorArrays } from '../../../core/training/optimizer/factors.ts';
import type { PrecisionSetting } from '../../../core/options/precisions.ts';
import type { PrecisionChoice } from '../../../core/engine/int8/precision-choice.ts';
import type { Runtime } from '../../../core/engine/runtime.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import type { BaseModel } from '../../../core/models/base-model.ts';
import { meanLoss } from '../../../core/data/evaluation/measure.ts';
import { exampleOf, type TokenizedExample } from '../../../core/data/example.ts';
import { accumulateGradients } from '../../../core/training/gradients.ts';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import { profileSteps } from './profile.ts';
import type { SideMethods, StepProfile, Timed, TokenIds } from './side-protocol.ts';

/** Does what the trainer's `train` and `meanLoss` do, one step at a time. */
class ReadaptSide {
  #base!: BaseModel;
  #runtime!: Runtime;
  #precision!: PrecisionChoice;
  #adapter!: Adapter;
  #parameters!: Arrays;
  #optimizer!: AdamwState;
  #learningRate = 0;
  #threads = 1;

  async load({ base, adapter, threads, learning_rate }: SideMethods['load']['params']): Promise<{ precision: string }> {
    this.#threads = threads;
    this.#learningRate = learning_rate;
    const { READAPT_PRECISION: precision } = process.env as { READAPT_PRECISION?: PrecisionSetting };
    const bases = new BaseCache({ precision, threads, graphCacheDir: graphCacheDir(process.env) });
    const loaded = await bases.load(base);
    [this.#base, this.#runtime, this.#precision] = [loaded.model, loaded.runtime, loaded.precision];
    this.#adapter = await loadAdapter(adapter, this.#base.config);
    this.#parameters = factorArrays(this.#adapter.modules);
    this.#optimizer = adamwInit(this.#parameters);
    return { precision: loaded.precision.precision };
  }

  async step({ examples }: SideMethods['step']['params']): Promise<Timed> {
    const begun = performance.now();
    const adapter = withFactorArrays(this.#adapter, this.#parameters);
    const { gradients, loss, tokens } = await accumulateGradients(this.#runtime, adapter, tokenized(examples));
    const arrays = factorArrays(gradients);
    clipGlobalNorm(arrays, 1);
    const before = { parameters: this.#parameters, state: this.#optimizer };
    ({ parameters: this.#parameters, state: this.#optimizer } = adamwUpdate(before, arrays, this.#learningRate, {}));
    return { loss, tokens, seconds: (performance.now() - begun) / 1000 };
  }

  async evaluate({ examples }: SideMethods['evaluate']['params']): Promise<Timed> {
    const begun = performance.now();
    const adapter = withFactorArrays(this.#adapter, this.#parameters);
    const { value, tokens } = await meanLoss(this.#runtime, adapter, tokenized(examples));
    return { loss: value, tokens, seconds: (performance.now() - begun) / 1000 };
  }

  peak_memory(): number {
    return process.resourceUsage().maxRSS * 1024;
  }

  versions(): Record<string, string> {
    const manifest = createRequire(import.meta.url).resolve('onnxruntime-node/package.json');
    const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
    return { node: process.versions.node, 'onnxruntime-node': version };
  }

  async profile({ examples, steps }: SideMethods['profile']['params']): Promise<StepProfile> {
    return profileSteps(steps, async (profileFilePrefix, count) => {
      const unprofiled = this.#runtime;
      this.#runtime = createRuntime({
        ...this.#precision,
        base: this.#base,
        threads: this.#threads,
        profileFilePrefix,
      });
      const seconds: number[] = [];
      for (let i = 0; i < count; i++) seconds.push((await this.step({ examples })).seconds);
      await this.#runtime.dispose();
      this.#runtime = unprofiled;
      return seconds;
    });
  }
}

function tokenized(examples: readonly TokenIds[]): TokenizedExample[] {
  return examples.map((ids) => exampleOf(ids.promptIds, ids.completionIds, { prompt: '', completion: '' }));
}

const side = new ReadaptSide();

async function answer(line: string): Promise<object> {
  try {
    const { method, params } = JSON.parse(line) as { method: keyof SideMethods; params: never };
    return { result: await side[method](params) };
  } catch (error) {
    return { error: error instanceof Error ? error.stack : String(error) };
  }
}

for await (const line of createInterface({ input: process.stdin }))
  process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
