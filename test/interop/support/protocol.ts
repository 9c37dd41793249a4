import type { ChatContent, CompletionContent } from '../../../core/formats/dataset/dataset-row.ts';
/** The token ids of an example, as the reference needs them. */
export interface TokenIds {
  readonly promptIds: readonly number[];
  readonly completionIds: readonly number[];
}

interface BaseAndAdapter {
  readonly base: string;
  readonly adapter: string | null;
}

/** The parameters and results of the methods of `python/serve.py`, as the Python files declare them. */
export interface Methods {
  /** The parameters are the `model_type` and the arguments of its configuration. */
  'models.complete_config': { params: object; result: object };
  'models.create_base': {
    params: {
      readonly folder: string;
      /** The `model_type` and the arguments of transformers' configuration for it. */
      readonly config: object;
      readonly seed: number;
      readonly dtype: 'float32' | 'bfloat16';
      readonly max_shard_size?: string;
      /** Folder of an earlier version. Each weight moves from there by `drift` of its norm; `config` is not used. */
      readonly moved_from?: string;
      readonly drift?: number;
    };
    result: null;
  };
  'models.create_adapter': {
    params: {
      readonly base: string;
      readonly folder: string;
      /** The arguments of PEFT's LoraConfig. */
      readonly lora: object;
      readonly seed: number;
      readonly dtype: 'float32' | 'bfloat16' | 'float16';
    };
    result: null;
  };
  'passes.measure': {
    params: BaseAndAdapter & { readonly examples: readonly TokenIds[] };
    result: { loss: number; logits: number[]; gradients: Record<string, number[]> };
  };
  'passes.train': {
    params: {
      readonly base: string;
      readonly adapter: string;
      readonly batches: readonly (readonly TokenIds[])[];
      readonly learning_rates: readonly number[];
      readonly weight_decay: number;
      readonly max_norm: number;
      readonly out: string;
    };
    result: number[];
  };
  'adapters.load_strictly': {
    /** Without a base, `AutoPeftModelForCausalLM` finds it by the name in the adapter's configuration. */
    params: { readonly base: string | null; readonly adapter: string };
    result: { base: string; warnings: string[]; missing: string[]; unexpected: string[]; changed: string[] };
  };
  'byte_level_bpe.train': {
    params: {
      readonly file: string;
      readonly style: 'gpt2' | 'prefix-space' | 'digits' | 'llama3';
      readonly texts: readonly string[];
      readonly vocab_size: number;
      readonly strings?: readonly string[];
    };
    result: { with_special: number[][]; without_special: number[][]; decoded: string[] };
  };
  'rows.train': {
    params: {
      readonly folder: string;
      readonly style: string;
      readonly texts: readonly string[];
      readonly vocab_size: number;
      readonly chat_template: string;
    };
    result: null;
  };
  'rows.tokenize': {
    params: { readonly folder: string; readonly rows: readonly CompletionContent[] };
    /** `label_start` is the index of the first token that has text of the completion. */
    result: { readonly ids: number[]; readonly label_start: number }[];
  };
  'rows.chats': {
    params: { readonly folder: string; readonly chats: readonly ChatContent[] };
    /** `mask` is 1 for each token that the assistant says. */
    result: { readonly ids: number[]; readonly mask: number[]; readonly prompt_ids: number[] }[];
  };
  'fusion.dense': {
    params: {
      readonly old_base: string;
      readonly new_base: string;
      readonly adapter: string;
      readonly alpha: number;
      readonly beta: number;
    };
    result: Record<string, { update: number[]; truncation_error: number }>;
  };
  'generation.greedy': {
    params: BaseAndAdapter & {
      readonly prompts: readonly (readonly number[])[];
      readonly max_new_tokens: number;
      readonly end_ids: readonly number[];
      readonly use_cache: boolean;
    };
    result: number[][];
  };
  'completions.mean_loss': {
    params: BaseAndAdapter & { readonly data: string };
    result: { loss: number; completion_tokens: number; examples: number };
  };
}
