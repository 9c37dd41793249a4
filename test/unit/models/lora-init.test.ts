import { describe, expect, it } from 'vitest';
import { loraSettings } from '../../../core/models/lora/lora-config.ts';
import { createAdapter } from '../../../core/models/lora/lora-init.ts';
import { parseModelConfig } from '../../../core/formats/hugging-face/config/parse-model-config.ts';
import { timeProcessor } from '../../processor-time.ts';

const base = parseModelConfig(
  {
    model_type: 'llama',
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    vocab_size: 320,
  },
  'config.json',
);
const options = { base, targetModules: ['q_proj', 'down_proj'], rank: 16, alpha: 32, seed: 5 };

describe('createAdapter', () => {
  it('starts as PEFT does: B zero, A uniform within ±1/√inFeatures', () => {
    const { modules } = createAdapter(options);
    expect([...modules.keys()]).toEqual([
      'model.layers.0.self_attn.q_proj',
      'model.layers.0.mlp.down_proj',
      'model.layers.1.self_attn.q_proj',
      'model.layers.1.mlp.down_proj',
    ]);
    for (const { a, b, inFeatures, outFeatures, scaling, rank } of modules.values()) {
      const bound = 1 / Math.sqrt(inFeatures);
      expect([a.length, b.length, scaling]).toEqual([rank * inFeatures, outFeatures * rank, 2]);
      expect(b.every((value) => value === 0)).toBe(true);
      expect(a.every((value) => Math.abs(value) <= bound)).toBe(true);
      expect(Math.max(...a)).toBeGreaterThan(0.97 * bound);
      expect(Math.min(...a)).toBeLessThan(-0.97 * bound);
      const variance = a.reduce((sum, value) => sum + value * value, 0) / a.length;
      expect(Math.abs(variance / (bound ** 2 / 3) - 1)).toBeLessThan(0.15);
    }
  });

  it('follows from the seed', () => {
    expect(createAdapter(options)).toEqual(createAdapter(options));
    const first = [...createAdapter(options).modules.values()][0]!;
    const other = [...createAdapter({ ...options, seed: 6 }).modules.values()][0]!;
    expect(first.a).not.toEqual(other.a);
  });

  it('makes one like another from its config', () => {
    const rankPattern = { 'layers.1.mlp.down_proj': 3 };
    const adapter = createAdapter({ ...options, useRslora: true, rankPattern });
    const module = adapter.modules.get('model.layers.1.mlp.down_proj')!;
    expect([module.rank, module.scaling]).toEqual([3, 32 / Math.sqrt(3)]);
    expect(createAdapter({ ...adapter.config, base, seed: 5 })).toEqual(adapter);
  });

  const SEVEN = ['down_proj', 'gate_proj', 'k_proj', 'o_proj', 'q_proj', 'up_proj', 'v_proj'];
  it.each<[object, number, string[]]>([
    [{ targetModules: 'all-linear' }, 14, SEVEN],
    [{ targetModules: '.*\\.self_attn\\.(q|k)_proj' }, 4, ['k_proj', 'q_proj']],
    [{ layersToTransform: [1] }, 2, ['model.layers.1.mlp.down_proj', 'model.layers.1.self_attn.q_proj']],
    [{ layersToTransform: [0, 1] }, 4, ['down_proj', 'q_proj']],
    [{ targetModules: ['model.layers.0.mlp.up_proj', 'up_proj'] }, 2, ['up_proj']],
    [{ targetModules: '.*1.mlp.up_proj' }, 1, ['model.layers.1.mlp.up_proj']],
  ])('adapts what %j selects', (selection, count, targetModules) => {
    const adapter = createAdapter({ ...options, ...selection });
    expect(adapter.modules.size).toBe(count);
    expect(adapter.config.targetModules).toEqual(targetModules);
    expect(createAdapter({ ...adapter.config, base, seed: 5 })).toEqual(adapter);
  });

  it('starts DoRA with the row norms of the base, so that it changes nothing', () => {
    const shape = (name: string) => (name.endsWith('q_proj') ? [64, 64] : [64, 96]);
    const data = (name: string) =>
      new Float32Array(shape(name)[0]! * shape(name)[1]!).map((_, i) => (i % shape(name)[1]! < 4 ? 1.5 : 0));
    const names = [...createAdapter(options).modules.keys()];
    const weights = new Map(names.map((name) => [`${name}.weight`, { shape: shape(name), data: data(name) }]));
    const adapter = createAdapter({ ...options, useDora: true, weights });
    for (const { magnitude } of adapter.modules.values()) expect(magnitude).toEqual(new Float32Array(64).fill(3));
    expect(createAdapter({ ...adapter.config, base, weights, seed: 5 })).toEqual(adapter);
    expect(() => createAdapter({ ...options, useDora: true })).toThrow(
      'no weight of model.layers.0.self_attn.q_proj was given',
    );
  });

  it.each([
    [{ rank: 0 }, 'rank is 0, expected a positive integer'],
    [{ rank: 1.5 }, 'rank is 1.5'],
    [{ alpha: 0 }, 'alpha is 0, expected a positive number'],
    [{ targetModules: ['c_attn'] }, 'target module "c_attn" is no linear layer of a llama model'],
    [{ targetModules: [] }, 'target module [] is no linear layer'],
    [{ targetModules: '.*c_attn' }, 'target module ".*c_attn" is no linear layer'],
    [{ targetModules: '(q_proj' }, 'regular expression "(q_proj" is not valid'],
    [{ layersToTransform: [0, 2] }, 'the base has no layer 2, expected 0 to 1'],
    [{ layersToTransform: [] }, 'is no linear layer'],
  ])('refuses %j', (changes, message) => {
    expect(() => createAdapter({ ...options, ...changes })).toThrow(message);
  });
});

describe('loraSettings', () => {
  const config = { rank: 4, alpha: 8, useRslora: false, targetModules: [], rankPattern: {}, alphaPattern: {} };
  const ranks = (rankPattern: Record<string, number>, names: string[]) => {
    const settings = loraSettings({ ...config, rankPattern }, names);
    return names.map((name) => settings.get(name)!.rank);
  };

  it.each<[Record<string, number>, number[]]>([
    [{ q_proj: 2 }, [2, 2, 4]],
    [{ 'layers.1.q_proj': 2 }, [4, 2, 4]],
    [{ proj: 2 }, [4, 4, 4]],
    [{ 'layers\\.\\d+\\.q_proj': 2 }, [2, 2, 4]],
    [{ '.*_proj': 2, q_proj: 3 }, [2, 2, 2]],
    [{ q_proj: 3, '.*_proj': 2 }, [3, 3, 2]],
    [{ '^layers.0.q_proj': 3 }, [3, 4, 4]],
    [{ 'q_proj|v_proj': 5 }, [5, 5, 5]],
  ])('%j', (pattern, expected) => {
    expect(ranks(pattern, ['layers.0.q_proj', 'layers.1.q_proj', 'layers.1.v_proj'])).toEqual(expected);
  });

  it('bounds the time of all patterns together', async () => {
    const slow = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`(.+)+_nothing${i}$`, 2]));
    const { processorMs } = await timeProcessor(() =>
      expect(() => ranks(slow, ['model.layers.0.self_attn.q_proj.and.a.long.name'])).toThrow('takes over 1000 ms'),
    );
    expect(processorMs).toBeLessThan(5000);
  });
});
