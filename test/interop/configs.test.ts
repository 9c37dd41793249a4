import { expect, it } from 'vitest';
import { parseModelConfig } from '../../core/formats/hugging-face/config/parse-model-config.ts';
import { ARCHITECTURES } from '../../core/models/architecture/architecture-table.ts';
import { useWorkspace } from './support/workspace.ts';

const workspace = useWorkspace();

const SIZES = {
  hidden_size: 256,
  intermediate_size: 44,
  num_hidden_layers: 13,
  num_attention_heads: 32,
  vocab_size: 61,
  // The default is beyond the vocabulary. Readapt does not use this field.
  pad_token_id: null,
  // Without these, the ids of Llama and Mistral would be unknown, because a base's fingerprint depends on them.
  bos_token_id: 3,
  eos_token_id: 4,
};

it.each([
  ...Object.keys(ARCHITECTURES).map((model_type) => ({ model_type })),
  { model_type: 'qwen2', use_sliding_window: true },
  { model_type: 'qwen3', use_sliding_window: true },
])('a config.json with only %j and sizes means the same as to transformers', async (given) => {
  const config = { ...SIZES, ...given };
  const complete = await workspace.reference.call('models.complete_config', config);
  expect(Object.keys(complete).length).toBeGreaterThan(Object.keys(config).length);
  expect(parseModelConfig(config, 'config.json')).toEqual(parseModelConfig(complete, 'config.json'));
});
