import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseModelConfig } from '../../../core/formats/hugging-face/config/parse-model-config.ts';
import type { Architectures } from '../../../core/models/architecture/architecture-declaration.ts';
import { ARCHITECTURES } from '../../../core/models/architecture/architecture-table.ts';
import { attentionScale, rotaryFrequencies, type LayerType } from '../../../core/models/config/rope.ts';
import { relativeError } from '../engine/support/numeric.ts';

interface RopeCase {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly sequence_length: number;
  readonly layer_type: LayerType;
  readonly frequencies: readonly number[];
  readonly attention_scale: number;
}

const FILE = path.join(import.meta.dirname, '../../fixtures/golden/rope/rope.json');
const CASES = JSON.parse(readFileSync(FILE, 'utf8')) as RopeCase[];

const TYPES = ['default', 'linear', 'dynamic', 'llama3', 'yarn', 'longrope'] as const;
const architectures: Architectures = Object.fromEntries(
  Object.entries(ARCHITECTURES).map(([name, each]) => {
    return [name, name === 'phi3' ? each : { ...each, rope: { ...each.rope, types: TYPES } }];
  }),
);
const parse = (changes: object) => {
  const small = {
    vocab_size: 64,
    hidden_size: 128,
    intermediate_size: 32,
    num_hidden_layers: 2,
    num_attention_heads: 4,
  };
  return parseModelConfig({ model_type: 'llama', ...small, ...changes }, 'config.json', { architectures });
};

describe('rotary frequencies', () => {
  it.each(CASES)('$name, length $sequence_length, $layer_type: as transformers', (expected) => {
    const config = parse(expected.config);
    const found = rotaryFrequencies(config, expected.sequence_length, expected.layer_type);
    expect(found).toHaveLength(expected.frequencies.length);
    found.forEach((value, pair) => expect(Math.abs(value / expected.frequencies[pair]! - 1)).toBeLessThan(1e-6));
    expect(attentionScale(config, expected.layer_type)).toBeCloseTo(expected.attention_scale, 12);
  });

  it('dynamic scaling leaves lengths up to the trained one alone, and forgets longer ones', () => {
    const scaled = parse({ max_position_embeddings: 256, rope_parameters: { rope_type: 'dynamic', factor: 4 } });
    const plain = rotaryFrequencies(parse({}), 1);
    expect(rotaryFrequencies(scaled, 256)).toEqual(plain);
    expect(relativeError(rotaryFrequencies(scaled, 257), plain)).toBeGreaterThan(1e-4);
    expect(rotaryFrequencies(scaled, 256)).toEqual(plain);
  });
});

describe('rotary settings', () => {
  const PHI = { model_type: 'phi3', max_position_embeddings: 256, original_max_position_embeddings: 64 };
  const factors = (length: number) => Array.from({ length }, () => 1);
  const longrope = (length: number) => ({
    rope_type: 'longrope',
    short_factor: factors(length),
    long_factor: factors(length),
  });
  it.each([
    [
      { rope_parameters: { rope_type: 'su' } },
      'rope_parameters.rope_type is "su", supported: default, linear, dynamic',
    ],
    [
      { ...PHI, rope_scaling: { type: 'linear', factor: 2 } },
      'rope_scaling.type is "linear", supported: default, longrope',
    ],
    [
      { ...PHI, rope_scaling: longrope(12) },
      'rope_scaling.short_factor is [1,1,1,1,1,1,1,1,1,1,1,1], expected 16 positive',
    ],
    [
      { ...PHI, partial_rotary_factor: 0.3 },
      'partial_rotary_factor is 0.3, supported: a share of head_dim (32) that is even',
    ],
    [{ partial_rotary_factor: 0.5 }, 'partial_rotary_factor is 0.5, supported: 1'],
    [{ rope_parameters: { rope_type: 'yarn' } }, 'expected a positive number'],
    [{ rope_parameters: { rope_type: 'yarn', factor: 0 } }, 'rope_parameters.factor is 0, expected a positive number'],
  ])('refuses %j', (changes, message) => {
    expect(() => parse(changes)).toThrow(message);
  });
});
