import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { createRuntime } from '../../../../core/engine/create-runtime.ts';
import { loadSettings } from '../../../../src/platform/config/config.ts';
import { COMPUTE } from '../../../../src/platform/config/settings/compute.ts';
import { adamwInit, adamwUpdate, type AdamwState, type Arrays } from '../../../../core/training/optimizer/adamw.ts';
import { clipGlobalNorm } from '../../../../core/training/optimizer/clipping.ts';
import { factorArrays, withFactorArrays } from '../../../../core/training/optimizer/factors.ts';
import { generateGreedily } from '../../../../core/engine/generation/greedy.ts';
import type { PrecisionSetting } from '../../../../core/options/precisions.ts';
import type { Runtime } from '../../../../core/engine/runtime.ts';
import { loadAdapter } from '../../../../core/formats/peft/peft-adapter.ts';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import type { BaseModel } from '../../../../core/models/base-model.ts';
import { meanLoss } from '../../../../core/data/evaluation/measure.ts';
import type { TokenizedExample } from '../../../../core/data/example.ts';
import { accumulateGradients } from '../../../../core/training/gradients.ts';
import { BaseCache, type LoadedBase } from '../../../../core/engine/base-cache.ts';
import { profileSteps } from './profile.ts';
import type { Generated, SideMethods, StepProfile, Timed, TokenIds } from './side-protocol.ts';

/** Readapt's side of the benchmark: the trainer's steps, evaluation and generation, one batch a request. */
class ReadaptSide {
  #base!: BaseModel;
  #runtime!: Runtime;
  #loaded!: LoadedBase;
  #adapter!: Adapter;
  #parameters!: Arrays;
  #optimizer!: AdamwState;
  #generationFolder!: string;
  #generationAdapter: Adapter | null = null;
  #learningRate = 0;
  #threads = 1;

  async load(params: SideMethods['load']['params']): Promise<{ precision: string }> {
    const { base, adapter, threads } = params;
    this.#threads = threads;
    this.#learningRate = params.learning_rate;
    this.#generationFolder = params.generation_adapter;
    const { READAPT_PRECISION: precision } = process.env as { READAPT_PRECISION?: PrecisionSetting };
    const { graphCacheDir } = loadSettings({ graphCacheDir: COMPUTE.graphCacheDir }, process.env);
    const bases = new BaseCache({ precision, threads, graphCacheDir });
    const loaded = await bases.load(base);
    [this.#base, this.#runtime, this.#loaded] = [loaded.model, loaded.runtime, loaded];
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

  async generate({ prompts, new_tokens }: SideMethods['generate']['params']): Promise<Generated> {
    this.#generationAdapter ??= await loadAdapter(this.#generationFolder, this.#base.config);
    const begun = performance.now();
    const requests = prompts.map((promptIds) => ({ promptIds, maxNewTokens: new_tokens }));
    // No token ends a text. The batch size of generation is that of `readapt generate`.
    const options = { endIds: new Set<number>() };
    const generated = await generateGreedily(this.#runtime, this.#generationAdapter, requests, options);
    const seconds = (performance.now() - begun) / 1000;
    const tokenIds = generated.map((text) => text.tokenIds);
    return { tokenIds, tokens: tokenIds.flat().length, seconds };
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
        precision: this.#loaded.precision.precision,
        rounded: this.#loaded.int8?.rounded,
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
  return examples.map((ids) => ({ ...ids, row: { prompt: '', completion: '' } }));
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
