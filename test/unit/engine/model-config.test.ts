import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { adaptableModules, expectedWeights, parseModelConfig } from '../../../workers/models/architecture.ts';
import { rotaryFrequencies } from '../../../workers/models/decoder/rotary.ts';

const FILE = path.join(import.meta.dirname, '../../fixtures/golden/llama-gqa-tied/base/config.json');
const JSON_CONFIG = JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, unknown>;
const parse = (changes: Record<string, unknown>) => parseModelConfig({ ...JSON_CONFIG, ...changes }, 'config.json');

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
    [{ model_type: 'gpt2' }, 'unsupported_model_type', 'config.json: model_type is "gpt2", supported: llama'],
    [{ model_type: undefined }, 'invalid_config', 'model_type is missing, expected a string'],
    [{ hidden_size: undefined }, 'invalid_config', 'hidden_size is missing, expected a positive integer'],
    [{ vocab_size: '320' }, 'invalid_config', 'vocab_size is "320", expected a positive integer'],
    [{ rms_norm_eps: -1 }, 'invalid_config', 'rms_norm_eps is -1, expected a positive number'],
    [{ num_key_value_heads: 3 }, 'invalid_config', 'num_key_value_heads is 3, expected a divisor'],
    [{ head_dim: 15 }, 'invalid_config', 'head_dim is 15, expected an even number'],
    [{ eos_token_id: 'x' }, 'invalid_config', 'eos_token_id is "x", expected token ids'],
    [{ hidden_act: 'gelu' }, 'unsupported_config', 'hidden_act is "gelu", supported: "silu"'],
    [{ attention_bias: true }, 'unsupported_config', 'attention_bias is true, supported: false'],
    [{ mlp_bias: true }, 'unsupported_config', 'mlp_bias is true, supported: false'],
    [{ rope_parameters: { rope_type: 'yarn' } }, 'unsupported_config', 'rope_parameters.rope_type is "yarn", supported'],
  ])('refuses %j', (changes, code, message) => {
    expect(() => parse(changes)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
  });
});

describe('architecture', () => {
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

describe('rotary frequencies', () => {
  const llama3 = {
    rope_type: 'llama3',
    rope_theta: 10000,
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 64,
  };

  it('llama3 keeps fast pairs, divides slow ones, and blends between', () => {
    const plain = rotaryFrequencies(parse({}));
    const scaled = rotaryFrequencies(parse({ rope_parameters: llama3 }));
    expect(plain[1]).toBeCloseTo(10000 ** (-2 / 16), 12);
    // Turns over 64 positions: pair 0 makes 10.2 (kept), pair 1 3.22 (blended by (3.22 − 1) / 3), pair 3 0.32 (divided).
    expect(scaled[0]).toBe(1);
    const blend = ((64 * plain[1]!) / (2 * Math.PI) - 1) / 3;
    expect(scaled[1]).toBeCloseTo(blend * plain[1]! + ((1 - blend) * plain[1]!) / 8, 12);
    expect(scaled[3]).toBeCloseTo(plain[3]! / 8, 12);
  });
});
