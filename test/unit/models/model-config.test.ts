import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { adaptableModules, expectedWeights } from '../../../core/models/architecture/architecture.ts';
import { parseModelConfig } from '../../../core/formats/hugging-face/config/parse-model-config.ts';

const parseCase = (name: string, changes: Record<string, unknown> = {}) => {
  const file = path.join(import.meta.dirname, '../../fixtures/golden', name, 'base/config.json');
  const json = { ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...changes };
  // JSON.stringify drops undefined fields, so that the file lacks them.
  return parseModelConfig(JSON.parse(JSON.stringify(json)), 'config.json');
};
const parse = (changes: Record<string, unknown>) => parseCase('llama-gqa-tied', changes);
const ATTENTION = ['self_attn.q_proj', 'self_attn.k_proj', 'self_attn.v_proj', 'self_attn.o_proj'];
const MLP = ['mlp.gate_proj', 'mlp.up_proj', 'mlp.down_proj'];

describe('parseModelConfig', () => {
  it('reads both spellings of the rotary settings', () => {
    const newer = parse({ rope_parameters: { rope_theta: 5e5, rope_type: 'linear', factor: 4 } });
    const older = parse({ rope_parameters: undefined, rope_theta: 5e5, rope_scaling: { type: 'linear', factor: 4 } });
    expect(newer.ropeTheta).toBe(5e5);
    expect(newer.ropeScaling).toEqual({ type: 'linear', factor: 4 });
    expect(older).toEqual(newer);
  });

  it('derives what older configs leave out', () => {
    const config = parse({ head_dim: undefined, num_key_value_heads: undefined, eos_token_id: [2, 3] });
    expect(config).toMatchObject({ headDim: 16, numKeyValueHeads: 4, eosTokenIds: [2, 3], bosTokenId: 1 });
  });

  it.each([
    [
      { model_type: 'gpt2' },
      'unsupported_model_type',
      'config.json: model_type is "gpt2", supported: llama, mistral, qwen2, qwen3',
    ],
    [{ model_type: undefined }, 'invalid_config', 'model_type is missing, expected a string'],
    [{ hidden_size: undefined }, 'invalid_config', 'hidden_size is missing, expected a positive integer'],
    [{ vocab_size: '320' }, 'invalid_config', 'vocab_size is "320", expected a positive integer'],
    [{ rms_norm_eps: -1 }, 'invalid_config', 'rms_norm_eps is -1, expected a positive number'],
    [{ num_key_value_heads: 3 }, 'invalid_config', 'num_key_value_heads is 3, expected a divisor'],
    [{ head_dim: 15 }, 'invalid_config', 'head_dim is 15, expected an even number'],
    [{ eos_token_id: 'x' }, 'invalid_config', 'eos_token_id is "x", expected token ids'],
    [{ hidden_act: 'gelu' }, 'unsupported_config', 'hidden_act is "gelu", supported: "silu"'],
    [{ attention_bias: 'yes' }, 'invalid_config', 'attention_bias is "yes", expected true or false'],
    [{ mlp_bias: 1 }, 'invalid_config', 'mlp_bias is 1, expected true or false'],
    [
      { rope_parameters: { rope_type: 'longrope' } },
      'unsupported_config',
      'rope_parameters.rope_type is "longrope", supported',
    ],
  ])('refuses %j', (changes, code, message) => {
    expect(() => parse(changes)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
  });
});

describe('declared variations', () => {
  it.each([
    ['llama-gqa-tied', {}, null],
    ['llama-gqa-tied', { attention_bias: true }, ATTENTION],
    ['llama-gqa-tied', { attention_bias: true, mlp_bias: true }, [...ATTENTION, ...MLP]],
    ['mistral', { attention_bias: true, mlp_bias: true }, null],
    ['qwen2', {}, ATTENTION.slice(0, 3)],
    ['qwen3', {}, null],
    ['qwen3', { attention_bias: true, mlp_bias: true }, ATTENTION],
  ])('%s with %j has the biases %j', (name, changes, expected) => {
    expect(parseCase(name, changes).biases).toEqual(expected);
  });

  const SWITCHED = { use_sliding_window: true, sliding_window: 5, layer_types: undefined };
  it.each([
    ['llama-gqa-tied', { sliding_window: 5 }, null],
    ['mistral', {}, null],
    ['mistral', { sliding_window: 5 }, [5, 5]],
    ['mistral', { sliding_window: undefined }, [4096, 4096]],
    ['qwen2', { sliding_window: 5 }, null],
    ['qwen2', { ...SWITCHED, max_window_layers: 1 }, [null, 5]],
    ['qwen2', { ...SWITCHED, max_window_layers: 0 }, [5, 5]],
    ['qwen2', { ...SWITCHED, max_window_layers: undefined }, null],
    ['qwen2', { ...SWITCHED, sliding_window: null }, null],
    ['qwen3', { ...SWITCHED, layer_types: ['sliding_attention', 'full_attention'] }, [5, null]],
  ])('%s with %j has the windows %j', (name, changes, expected) => {
    expect(parseCase(name, changes).slidingWindows).toEqual(expected);
  });

  it('takes the defaults of each architecture where a field is left out, and not where it is null', () => {
    expect(parseCase('qwen3', { head_dim: undefined })).toMatchObject({ headDim: 128 });
    expect(parseCase('mistral', { head_dim: null, num_key_value_heads: null })).toMatchObject({
      headDim: 8,
      numKeyValueHeads: 6,
    });
    const wide = { num_attention_heads: 16, hidden_size: 64, num_key_value_heads: undefined };
    expect(parseCase('mistral', wide)).toMatchObject({ numKeyValueHeads: 8 });
  });

  it.each([
    [{ sliding_window: 0 }, 'sliding_window is 0, expected a positive integer'],
    [{ use_sliding_window: 'on' }, 'use_sliding_window is "on", expected true or false'],
    [{ layer_types: ['full_attention'] }, 'layer_types is ["full_attention"], expected 2 times one of full_attention'],
    [{ layer_types: ['chunked', 'full_attention'] }, 'layer_types is ["chunked","full_attention"], expected'],
    [{ layer_types: undefined, max_window_layers: -1 }, 'max_window_layers is -1'],
  ])('refuses %j', (changes, message) => {
    expect(() => parseCase('qwen2', { use_sliding_window: true, sliding_window: 5, ...changes })).toThrow(message);
  });
});

describe('architecture', () => {
  it('lists biases and head norms of a layer with their shapes', () => {
    const specs = (name: string, changes: object) => {
      const all = expectedWeights(parseCase(name, changes as Record<string, unknown>));
      return Object.fromEntries(all.map(({ name: tensor, shape }) => [tensor, shape]));
    };
    expect(specs('qwen2', {})).toMatchObject({
      'model.layers.1.self_attn.q_proj.bias': [56],
      'model.layers.1.self_attn.k_proj.bias': [8],
      'model.layers.1.self_attn.v_proj.bias': [8],
    });
    expect(specs('qwen2', {})).not.toHaveProperty(['model.layers.1.self_attn.o_proj.bias']);
    const norms = { 'model.layers.0.self_attn.q_norm.weight': [24], 'model.layers.0.self_attn.k_norm.weight': [24] };
    expect(specs('qwen3', {})).toMatchObject(norms);
    expect(specs('llama-gqa-tied', { mlp_bias: true })).toMatchObject({ 'model.layers.0.mlp.gate_proj.bias': [96] });
  });

  it('lists the weights of tied and untied models and the modules in order', () => {
    const names = expectedWeights(parse({})).map((weight) => weight.name);
    expect(names).toHaveLength(20);
    expect(names).not.toContain('lm_head.weight');
    const head = expectedWeights(parse({ tie_word_embeddings: false })).at(-1);
    expect(head).toEqual({ name: 'lm_head.weight', shape: [512, 64] });
    const modules = adaptableModules(parse({}));
    expect(modules).toHaveLength(14);
    expect(modules[8]).toEqual({ name: 'model.layers.1.self_attn.k_proj', inFeatures: 64, outFeatures: 32 });
  });
});
