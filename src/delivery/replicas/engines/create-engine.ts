import { readCompletion, readListing } from './answers.ts';
import { connectToEngine, parse, type ConnectionOptions, type EngineAddress } from './connection.ts';
import type { Engine } from './engine.ts';

export const ENGINES = ['vllm', 'sglang'] as const;
export type EngineKind = (typeof ENGINES)[number];

/**
 * Properties in which the HTTP interface of one kind of engine differs from those of others: paths, limits, and the
 * choice of an adapter.
 */
interface Dialect {
  readonly atOnce: number;
  readonly load: string;
  readonly unload: string;
  /** Makes the members of a completion request that choose the adapter or, if `adapter` is null, the base model. */
  choose(adapter: string | null, base: string): object;
}

const DIALECTS: Readonly<Record<EngineKind, Dialect>> = {
  // vLLM needs VLLM_ALLOW_RUNTIME_LORA_UPDATING. `load_inplace` is never used: vLLM remembers the flag for the name,
  // and then reads the adapter from disk again in each step that uses it.
  vllm: {
    atOnce: 4,
    load: '/v1/load_lora_adapter',
    unload: '/v1/unload_lora_adapter',
    choose: (adapter, base) => ({ model: adapter ?? base }),
  },
  // SGLang needs --enable-lora, and loads one adapter at a time. Its base model answers requests with an unknown
  // `model`, so `lora_path` selects the adapter; despite its name, it takes the adapter's name.
  sglang: {
    atOnce: 1,
    load: '/load_lora_adapter',
    unload: '/unload_lora_adapter',
    choose: (adapter, base) => ({ model: base, ...(adapter !== null && { lora_path: adapter }) }),
  },
};

/**
 * Options of completions that show whether two models differ: eight tokens, always the most probable one, with its
 * log-probability.
 */
const GREEDY = { max_tokens: 8, temperature: 0, logprobs: 1 };

export function createEngine(kind: EngineKind, address: EngineAddress, options: ConnectionOptions): Engine {
  const { get, post } = connectToEngine(address, options);
  const { atOnce, load, unload, choose } = DIALECTS[kind];
  return {
    atOnce,
    list: async () => readListing(await get('/v1/models')),
    async load(name, path) {
      await post(load, { lora_name: name, lora_path: path });
    },
    async unload(name) {
      await post(unload, { lora_name: name });
    },
    async complete(prompt, adapter) {
      const text = await post('/v1/completions', { ...choose(adapter, address.servingName), prompt, ...GREEDY });
      return readCompletion(parse(text, '/v1/completions'));
    },
  };
}
