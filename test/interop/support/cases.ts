import { Random } from '../../../core/statistics/random.ts';
import type { TokenIds } from './protocol.ts';

/** The arguments of PEFT's LoraConfig. */
export interface LoraCase {
  readonly name: string;
  readonly lora: Readonly<Record<string, unknown>>;
}

const ALL = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];

export const LORAS: readonly LoraCase[] = [
  { name: 'LoRA on all projections', lora: { r: 4, lora_alpha: 8, target_modules: ALL } },
  { name: 'rsLoRA on q and v', lora: { r: 6, lora_alpha: 6, use_rslora: true, target_modules: ['q_proj', 'v_proj'] } },
  {
    name: 'rank and alpha patterns',
    lora: {
      r: 3,
      lora_alpha: 6,
      target_modules: ['q_proj', 'o_proj', 'up_proj', 'down_proj'],
      rank_pattern: { 'layers.0.self_attn.q_proj': 5, up_proj: 2, '.*1.*down_proj': 7 },
      alpha_pattern: { o_proj: 3, 'layers.1.mlp.up_proj': 9 },
    },
  },
  {
    name: 'rsLoRA patterns on the MLP',
    lora: {
      r: 2,
      lora_alpha: 4,
      use_rslora: true,
      target_modules: ['gate_proj', 'down_proj'],
      rank_pattern: { gate_proj: 5 },
      alpha_pattern: { down_proj: 1 },
    },
  },
];

/** DoRA on all layers, and together with every other setting. */
export const DORAS: readonly LoraCase[] = [
  { name: 'DoRA on all projections', lora: { r: 4, lora_alpha: 8, use_dora: true, target_modules: ALL } },
  {
    name: 'DoRA with rsLoRA and a rank pattern',
    lora: {
      r: 6,
      lora_alpha: 6,
      use_dora: true,
      use_rslora: true,
      target_modules: ['q_proj', 'v_proj', 'down_proj'],
      rank_pattern: { v_proj: 2 },
    },
  },
];

/** All ways in which PEFT can select the modules of an adapter. */
export const SELECTIONS: readonly LoraCase[] = [
  {
    name: 'LoRA by a regular expression',
    lora: { r: 4, lora_alpha: 8, target_modules: '.*self_attn.(q|qkv|o)_proj|model.layers.1.*down_proj' },
  },
  { name: 'DoRA on all-linear', lora: { r: 3, lora_alpha: 3, use_dora: true, target_modules: 'all-linear' } },
  {
    name: 'LoRA in one layer but for a module',
    lora: { r: 4, lora_alpha: 8, target_modules: ALL, layers_to_transform: [1], exclude_modules: ['o_proj'] },
  },
];

/** Returns the same case with the names of fused projections. */
export function fused({ name, lora }: LoraCase): LoraCase {
  const json = JSON.stringify(lora)
    .replaceAll(/\b[qkv]_proj/g, 'qkv_proj')
    .replaceAll(/\b(gate|up)_proj/g, 'gate_up_proj');
  const { target_modules: targets, ...others } = JSON.parse(json) as Record<string, unknown>;
  return { name, lora: { ...others, target_modules: Array.isArray(targets) ? [...new Set(targets)] : targets } };
}

export const SEEDS = [1, 2, 3] as const;

/** Makes random examples of 4 to 30 tokens. Every fourth has the same prompt as the one before it. */
export function randomExamples(count: number, vocabSize: number, seed: number): TokenIds[] {
  const random = Random.fromSeed(seed);
  const ids = (length: number) => Array.from({ length }, () => random.integer(vocabSize));
  const examples: TokenIds[] = [];
  while (examples.length < count) {
    const own = { promptIds: ids(3 + random.integer(22)), completionIds: ids(1 + random.integer(5)) };
    const before = examples.at(-1)?.promptIds ?? own.promptIds;
    examples.push(examples.length % 4 === 1 ? { ...own, promptIds: before } : own);
  }
  return examples;
}
