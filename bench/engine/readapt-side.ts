import { createInterface } from 'node:readline';
import { createRuntime } from '../../workers/engine/create-runtime.ts';
import { adamwInit, adamwUpdate, type AdamwState, type Arrays } from '../../workers/engine/optimiser/adamw.ts';
import { clipGlobalNorm } from '../../workers/engine/optimiser/clipping.ts';
import { factorArrays, withFactorArrays } from '../../workers/engine/optimiser/factors.ts';
import type { Runtime } from '../../workers/engine/runtime.ts';
import { loadBaseModel } from '../../workers/formats/hugging-face-model.ts';
import { loadAdapter } from '../../workers/formats/peft-adapter.ts';
import type { Adapter } from '../../workers/models/adapter.ts';
import { makeBatch } from '../../workers/training/batching.ts';
import { meanLoss } from '../../workers/training/evaluation.ts';
import type { TokenizedExample } from '../../workers/training/example.ts';
import { accumulateGradients } from '../../workers/training/gradients.ts';
import { profileStep } from './profile.ts';
import { describeBatch } from './rows.ts';
import type { SideMethods, Timed, TokenIds } from './side-protocol.ts';

/** The engine's side: what `train` and `meanLoss` do, one step at a time. */
class ReadaptSide {
  #runtime!: Runtime;
  #adapter!: Adapter;
  #parameters!: Arrays;
  #optimiser!: AdamwState;
  #learningRate = 0;
  #threads = 1;

  async load({ base, adapter, threads, learning_rate }: SideMethods['load']['params']): Promise<null> {
    this.#threads = threads;
    this.#learningRate = learning_rate;
    this.#runtime = createRuntime({ base: await loadBaseModel(base), threads });
    this.#adapter = await loadAdapter(adapter, this.#runtime.base.config);
    this.#parameters = factorArrays(this.#adapter.modules);
    this.#optimiser = adamwInit(this.#parameters);
    return null;
  }

  async step({ examples }: SideMethods['step']['params']): Promise<Timed> {
    const begun = performance.now();
    const adapter = withFactorArrays(this.#adapter, this.#parameters);
    const { gradients, loss } = await accumulateGradients(this.#runtime, adapter, tokenized(examples), { rows: examples.length });
    const { arrays } = clipGlobalNorm(factorArrays(gradients), 1);
    const before = { parameters: this.#parameters, state: this.#optimiser };
    ({ parameters: this.#parameters, state: this.#optimiser } = adamwUpdate(before, arrays, this.#learningRate, {}));
    return { loss, seconds: (performance.now() - begun) / 1000 };
  }

  async evaluate({ examples }: SideMethods['evaluate']['params']): Promise<Timed> {
    const begun = performance.now();
    const adapter = withFactorArrays(this.#adapter, this.#parameters);
    const { value } = await meanLoss(this.#runtime, adapter, tokenized(examples), { batchSize: examples.length });
    return { loss: value, seconds: (performance.now() - begun) / 1000 };
  }

  peak_memory(): number {
    return process.resourceUsage().maxRSS * 1024;
  }

  rows({ examples }: SideMethods['rows']['params']) {
    return describeBatch(makeBatch(tokenized(examples), { rows: examples.length }));
  }

  versions() {
    return { node: process.versions.node };
  }

  async profile({ examples, steps }: SideMethods['profile']['params']) {
    const adapter = withFactorArrays(this.#adapter, this.#parameters);
    const call = { adapter, batch: makeBatch(tokenized(examples), { rows: examples.length }), gradientScale: 1 };
    const graph = await profileStep(this.#runtime.base, call, { steps, threads: this.#threads });
    const whole = await this.#timeParts(examples, steps);
    return { operators: graph, ...whole };
  }

  /** Whole steps, and what of them is not the runtime's call. */
  async #timeParts(examples: readonly TokenIds[], steps: number) {
    let step = 0;
    let inRuntime = 0;
    for (let i = 0; i < steps; i++) {
      const runtime = this.#runtime;
      const timed: Pick<Runtime, 'gradients'> = {
        gradients: async (...args) => {
          const begun = performance.now();
          const result = await runtime.gradients(...args);
          inRuntime += (performance.now() - begun) / 1000;
          return result;
        },
      };
      this.#runtime = { ...timed, name: runtime.name, base: runtime.base } as Runtime;
      step += (await this.step({ examples })).seconds;
      this.#runtime = runtime;
    }
    return { step: step / steps, outsideGraph: (step - inRuntime) / steps };
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

for await (const line of createInterface({ input: process.stdin })) process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
