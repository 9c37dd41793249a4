import { describe, expect, it } from 'vitest';
import { startFingerprint } from '../../../core/formats/hugging-face/fingerprint.ts';
import { adaptableModules, architectureOf, expectedWeights } from '../../../core/models/architecture/architecture.ts';
import { parseModelConfig } from '../../../core/formats/hugging-face/config/parse-model-config.ts';
import type { Architectures } from '../../../core/models/architecture/architecture-declaration.ts';
import { ARCHITECTURES } from '../../../core/models/architecture/architecture-table.ts';

const SMALL = {
  model_type: 'llama',
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 320,
};
const parse = (changes: object, architectures: Architectures = ARCHITECTURES) =>
  parseModelConfig({ ...SMALL, ...changes }, 'config.json', { architectures });
const layerShapes = (changes: object) => {
  const specs = expectedWeights(parse(changes)).filter(({ name }) => name.startsWith('model.layers.0.'));
  return Object.fromEntries(specs.map(({ name, shape }) => [name.slice('model.layers.0.'.length), shape]));
};

const LLAMA3_ROPE = {
  rope_type: 'llama3',
  rope_theta: 500000,
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 64,
};

describe('fingerprints', () => {
  // Stored bases are identified by their fingerprints, so no later release may change these.
  it.each([
    [{}, '31d8e9b7453b8531'],
    [{ rope_parameters: LLAMA3_ROPE, attention_bias: true }, '787cc6c5fcb48205'],
    [{ rope_parameters: { rope_type: 'linear', factor: 2 } }, '332bd711a25aeb99'],
    [{ model_type: 'mistral' }, '0f49976394109617'],
    [{ model_type: 'qwen2', use_sliding_window: true, max_window_layers: 1 }, '547fff43ccc2516b'],
    [{ model_type: 'qwen3' }, '32f7f099c6612380'],
  ])('a config with %j has the one that it always had', (changes, expected) => {
    expect(startFingerprint(parse(changes)).digest('hex').slice(0, 16)).toBe(expected);
  });
});

describe('Gemma 2', () => {
  const gemma2 = (changes: object = {}) => parse({ model_type: 'gemma2', head_dim: 16, ...changes });

  it('takes what config.json leaves out from transformers', () => {
    expect(parse({ model_type: 'gemma2' })).toMatchObject({
      headDim: 256,
      queryPreAttnScalar: 256,
      attentionSoftcap: 50,
      logitSoftcap: 30,
      slidingWindows: [4096, null],
      slidingRope: null,
      tieWordEmbeddings: true,
      bosTokenId: 2,
      eosTokenIds: [1],
    });
  });

  it('has norms before and after each block', () => {
    expect(layerShapes({ model_type: 'gemma2', head_dim: 16 })).toMatchObject({
      'input_layernorm.weight': [64],
      'post_attention_layernorm.weight': [64],
      'pre_feedforward_layernorm.weight': [64],
      'post_feedforward_layernorm.weight': [64],
    });
    expect(layerShapes({ model_type: 'gemma2' })).not.toHaveProperty(['self_attn.q_norm.weight']);
  });

  it('caps nothing where the caps are null, and reads windows by layer', () => {
    const config = gemma2({ attn_logit_softcapping: null, final_logit_softcapping: null, sliding_window: 5 });
    expect(config).toMatchObject({ attentionSoftcap: null, logitSoftcap: null, slidingWindows: [5, null] });
    const types = ['full_attention', 'sliding_attention'];
    expect(gemma2({ sliding_window: 5, layer_types: types }).slidingWindows).toEqual([null, 5]);
  });
});

describe('Gemma 3', () => {
  const gemma3 = (changes: object = {}) =>
    parse({ model_type: 'gemma3_text', num_hidden_layers: 7, head_dim: 16, ...changes });

  it('has windows but in every sixth layer, rotary bases by kind of layer, and head norms', () => {
    expect(gemma3()).toMatchObject({
      slidingWindows: [4096, 4096, 4096, 4096, 4096, null, 4096],
      ropeTheta: 1e6,
      slidingRope: { ropeTheta: 1e4, ropeScaling: null },
      attentionSoftcap: null,
      logitSoftcap: null,
    });
    expect(gemma3({ sliding_window_pattern: 3, sliding_window: 8 }).slidingWindows).toEqual([
      8,
      8,
      null,
      8,
      8,
      null,
      8,
    ]);
    expect(layerShapes({ model_type: 'gemma3_text', head_dim: 16 })).toMatchObject({ 'self_attn.k_norm.weight': [16] });
  });

  it('reads both spellings of the rotary settings', () => {
    const older = gemma3({
      rope_theta: 5e5,
      rope_local_base_freq: 7e3,
      rope_scaling: { rope_type: 'linear', factor: 8 },
    });
    const newer = gemma3({
      rope_parameters: {
        full_attention: { rope_type: 'linear', rope_theta: 5e5, factor: 8 },
        sliding_attention: { rope_type: 'default', rope_theta: 7e3 },
      },
    });
    expect(newer).toMatchObject({
      ropeTheta: 5e5,
      ropeScaling: { type: 'linear', factor: 8 },
      slidingRope: { ropeTheta: 7e3 },
    });
    expect(older).toEqual(newer);
  });
});

describe('Phi-3', () => {
  it('has fused projections, which adapters target', () => {
    const config = parse({ model_type: 'phi3' });
    expect(adaptableModules(config).slice(0, 4)).toEqual([
      { name: 'model.layers.0.self_attn.qkv_proj', inFeatures: 64, outFeatures: 128 },
      { name: 'model.layers.0.self_attn.o_proj', inFeatures: 64, outFeatures: 64 },
      { name: 'model.layers.0.mlp.gate_up_proj', inFeatures: 64, outFeatures: 192 },
      { name: 'model.layers.0.mlp.down_proj', inFeatures: 96, outFeatures: 64 },
    ]);
    expect(Object.keys(layerShapes({ model_type: 'phi3' })).sort()).toEqual([
      'input_layernorm.weight',
      'mlp.down_proj.weight',
      'mlp.gate_up_proj.weight',
      'post_attention_layernorm.weight',
      'self_attn.o_proj.weight',
      'self_attn.qkv_proj.weight',
    ]);
  });
});

describe('what is not computed', () => {
  const SUPPORTED = 'supported: llama, mistral, qwen2, qwen3, gemma2, gemma3_text, phi3';
  const OTHERS = [
    'gpt2',
    'mixtral',
    'qwen2_moe',
    'qwen3_moe',
    'gemma',
    'gemma3n_text',
    'phi',
    'llama4_text',
    'olmo2',
    'Llama',
  ];
  it.each(OTHERS)('the architecture %s is refused with the list of what is supported', (model_type) => {
    const message = expect.stringContaining(`model_type is "${model_type}", ${SUPPORTED}`);
    expect(() => parse({ model_type })).toThrow(expect.objectContaining({ code: 'unsupported_model_type', message }));
  });

  it.each([
    [{ model_type: 'gemma3' }, 'model_type is "gemma3", which reads images too, and only text models can be loaded'],
    [
      { model_type: 'gemma2', hidden_activation: 'silu' },
      'hidden_activation is "silu", supported: "gelu_pytorch_tanh"',
    ],
    [
      { model_type: 'gemma2', use_bidirectional_attention: true },
      'use_bidirectional_attention is true, supported: false',
    ],
    [{ model_type: 'gemma2', query_pre_attn_scalar: 0 }, 'query_pre_attn_scalar is 0, expected a positive number'],
    [
      { model_type: 'gemma2', final_logit_softcapping: -1 },
      'final_logit_softcapping is -1, expected a positive number',
    ],
    [{ model_type: 'gemma3_text', attn_logit_softcapping: 50 }, 'attn_logit_softcapping is 50, supported: null'],
    [{ model_type: 'phi3', hidden_act: 'gelu' }, 'hidden_act is "gelu", supported: "silu"'],
    [{ model_type: 'toString' }, 'model_type is "toString", supported: llama, mistral'],
    [
      { rope_scaling: { type: 'mrope' } },
      'rope_scaling.type is "mrope", supported: default, linear, dynamic, llama3, yarn',
    ],
    [
      { model_type: 'gemma2', rope_parameters: { rope_type: 'longrope' } },
      'rope_type is "longrope", supported: default, linear',
    ],
    [
      { rope_parameters: { full_attention: {} } },
      'rope_parameters is given by layer type, supported: once, for all layers',
    ],
    [
      { model_type: 'gemma3_text', rope_parameters: { rope_type: 'linear', factor: 8 } },
      'rope_parameters is given once, supported: full_attention and sliding_attention',
    ],
    [
      { quantization_config: { quant_method: 'gptq' } },
      'quantization_config is given, supported: weights that are not quantized',
    ],
    [
      { model_type: 'qwen3', use_sliding_window: true, layer_types: ['chunked_attention', 'full_attention'] },
      'expected 2 times one of full_attention, sliding_attention',
    ],
  ])('%j is refused', (changes, message) => {
    expect(() => parse(changes)).toThrow(message);
  });
});

describe("a declaration of one's own", () => {
  const wide = { ...ARCHITECTURES.llama, queryKeyNorm: 'projection' } as const;

  it('travels with the config, and only with its own', () => {
    expect(architectureOf(parse({ model_type: 'wide' }, { wide }))).toBe(wide);
    expect(parse({}, { llama: wide }).architecture).toBe(wide);
    expect(parse({})).not.toHaveProperty('architecture');
    expect(() => parse({ model_type: 'llama' }, { wide })).toThrow('model_type is "llama", supported: wide');
  });

  it('has the weights that it declares', () => {
    const shapes = new Map(
      expectedWeights(parse({ model_type: 'wide' }, { wide })).map(({ name, shape }) => [name, shape]),
    );
    expect(shapes.get('model.layers.1.self_attn.q_norm.weight')).toEqual([64]);
    expect(shapes.get('model.layers.1.self_attn.k_norm.weight')).toEqual([32]);
  });
});
