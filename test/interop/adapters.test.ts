import { cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRuntime } from '../../core/engine/create-runtime.ts';
import type { Runtime } from '../../core/engine/runtime.ts';
import { loadBaseModel } from '../../core/formats/hugging-face/hugging-face-model.ts';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import { saveAdapter } from '../../core/formats/peft/peft-adapter-writer.ts';
import type { Adapter } from '../../core/models/lora/adapter.ts';
import { createAdapter } from '../../core/models/lora/lora-init.ts';
import { Random } from '../../core/statistics/random.ts';
import { largestDifference } from '../unit/engine/support/numeric.ts';
import { PLAIN } from './support/bases.ts';
import { DORAS, LORAS, randomExamples, SEEDS } from './support/cases.ts';
import { labelLogits } from './support/passes.ts';
import { useWorkspace } from './support/workspace.ts';

const workspace = useWorkspace();

/** Targets and initializations that PEFT writes and Readapt does not. */
const PEFT_ONLY = [
  { name: 'targets by regular expression', lora: { r: 4, target_modules: '.*self_attn\\.(q|o)_proj' } },
  { name: 'all-linear', lora: { r: 2, target_modules: 'all-linear' } },
  { name: 'one layer', lora: { r: 4, target_modules: ['q_proj', 'up_proj'], layers_to_transform: [1] } },
  {
    name: 'excluded modules',
    lora: { r: 4, target_modules: ['q_proj', 'v_proj'], exclude_modules: ['layers.0.self_attn.v_proj'] },
  },
  {
    name: 'layers by their container',
    lora: { r: 4, target_modules: ['q_proj', 'up_proj'], layers_to_transform: 0, layers_pattern: 'layers' },
  },
  { name: 'dropout', lora: { r: 4, target_modules: ['q_proj', 'down_proj'], lora_dropout: 0.3 } },
  {
    name: 'patterns that are expressions',
    lora: {
      r: 4,
      use_rslora: true,
      target_modules: ['q_proj', 'v_proj'],
      rank_pattern: { 'layers\\.1\\..*q_proj': 2, 'v_proj|o_proj': 3 },
      alpha_pattern: { '.*\\.0\\..*': 5, 'model.layers.1.self_attn.v_proj': 3 },
    },
  },
  {
    name: 'DoRA on all-linear but one',
    lora: { r: 2, use_dora: true, target_modules: 'all-linear', exclude_modules: '.*0.*gate_proj' },
  },
  { name: 'orthogonal initialization', lora: { r: 4, target_modules: ['k_proj'], init_lora_weights: 'orthogonal' } },
  { name: 'MiCA initialization', lora: { r: 4, target_modules: ['q_proj'], init_lora_weights: 'mica' } },
  { name: 'Gaussian initialization', lora: { r: 4, target_modules: ['k_proj'], init_lora_weights: 'gaussian' } },
];

/** Adapter with full module names as targets. */
const ONE_LAYER = {
  name: 'one layer',
  lora: { r: 4, lora_alpha: 8, target_modules: 'all-linear', layers_to_transform: [1] },
};

/** The configuration fields of earlier PEFT releases. */
const FIELDS_OF_0_3 = [
  'base_model_name_or_path', 'bias', 'fan_in_fan_out', 'inference_mode', 'init_lora_weights', 'lora_alpha',
  'lora_dropout', 'modules_to_save', 'peft_type', 'r', 'target_modules', 'task_type',
]; // oxfmt-ignore
const FIELDS_OF_0_5 = [...FIELDS_OF_0_3, 'auto_mapping', 'layers_pattern', 'layers_to_transform', 'revision'];
const FIELDS_OF_0_6 = [...FIELDS_OF_0_5, 'alpha_pattern', 'rank_pattern'];
const FIELDS_OF_0_10 = [
  ...FIELDS_OF_0_6, 'layer_replication', 'loftq_config', 'megatron_config', 'megatron_core', 'use_dora', 'use_rslora',
]; // oxfmt-ignore
const OLDER = [
  { release: '0.3', fields: FIELDS_OF_0_3, lora: LORAS[0]! },
  { release: '0.5', fields: FIELDS_OF_0_5, lora: LORAS[0]! },
  { release: '0.6', fields: FIELDS_OF_0_6, lora: LORAS[2]! },
  { release: '0.10', fields: FIELDS_OF_0_10, lora: LORAS[1]! },
  { release: '0.10', fields: FIELDS_OF_0_10, lora: LORAS[3]! },
  { release: '0.10', fields: FIELDS_OF_0_10, lora: DORAS[0]! },
];

let runtime: Runtime;
let base: string;

beforeAll(async () => {
  base = workspace.path('base');
  await workspace.reference.call('models.create_base', { ...PLAIN, folder: base, seed: 7 });
  runtime = createRuntime({ base: await loadBaseModel(base), threads: 1 });
});
afterAll(() => runtime?.dispose());

describe.each(SEEDS)('an adapter saved by Readapt, seed %i', (seed) => {
  it.each([...LORAS, ...DORAS, ONE_LAYER])('is loaded by PEFT without differences: $name', async ({ name, lora }) => {
    const folder = workspace.path(`ours ${seed} ${name}`);
    const adapter = randomAdapter(lora, seed);
    await saveAdapter(folder, adapter, { baseModelName: 'a/base' });

    const loaded = await workspace.reference.call('adapters.load_strictly', { base, adapter: folder });
    expect(loaded).toEqual({ base, warnings: [], missing: [], unexpected: [], changed: [] });
    await expectEqualLogits(adapter, folder, seed);
  });
});

describe('an adapter saved by PEFT', () => {
  it.each([
    ['float16', LORAS[2]!],
    ['bfloat16', LORAS[2]!],
    ['bfloat16', DORAS[1]!],
  ] as const)('is read from %s: $1.name', async (dtype, { name, lora }) => {
    const folder = await peftAdapter(`theirs ${dtype} ${name}`, lora, dtype);
    await expectEqualLogits(await loadAdapter(folder, runtime.base.config), folder);
  });

  it.each(PEFT_ONLY)('is read with $name, and can be read by PEFT when it is written again', async ({ name, lora }) => {
    const folder = await peftAdapter(`theirs ${name}`, { lora_alpha: 8, ...lora });
    const adapter = await loadAdapter(folder, runtime.base.config);
    await expectEqualLogits(adapter, folder);

    const again = workspace.path(`again ${name}`);
    await saveAdapter(again, adapter);
    const written = JSON.parse(await readFile(path.join(again, 'adapter_config.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    expect(written.lora_dropout).toBe('lora_dropout' in lora ? lora.lora_dropout : 0);
    const loaded = await workspace.reference.call('adapters.load_strictly', { base, adapter: again });
    expect(loaded).toEqual({ base, warnings: [], missing: [], unexpected: [], changed: [] });
    await expectEqualLogits(adapter, again);
  });

  it.each(OLDER)('is read with the configuration of PEFT $release: $lora.name', async ({ release, fields, lora }) => {
    const folder = await peftAdapter(`theirs before ${release} ${lora.name}`, lora.lora);
    const older = workspace.path(`theirs ${release} ${lora.name}`);
    await cp(folder, older, { recursive: true });
    const file = path.join(older, 'adapter_config.json');
    const config = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    const kept = Object.entries(config).filter(([field]) => fields.includes(field));
    expect(kept.length).toBeLessThan(Object.keys(config).length);
    await writeFile(file, JSON.stringify(Object.fromEntries(kept)));

    const adapter = await loadAdapter(older, runtime.base.config);
    await expectEqualLogits(adapter, older);
    await expectEqualLogits(adapter, folder);
  });
});

async function peftAdapter(
  name: string,
  lora: object,
  dtype: 'float32' | 'float16' | 'bfloat16' = 'float32',
): Promise<string> {
  const folder = workspace.path(name);
  await workspace.reference.call('models.create_adapter', { base, folder, lora, seed: 5, dtype });
  return folder;
}

/** Compares the logits with PEFT's for the adapter in the folder, and checks that the adapter changes them. */
async function expectEqualLogits(adapter: Adapter, folder: string, seed = 9): Promise<void> {
  const examples = randomExamples(4, runtime.base.config.vocabSize, seed);
  const { logits } = await workspace.reference.call('passes.measure', { base, adapter: folder, examples });
  expect(largestDifference(await labelLogits(runtime, adapter, examples), logits)).toBeLessThan(1e-4);
  expect(largestDifference(await labelLogits(runtime, null, examples), logits)).toBeGreaterThan(0.05);
}

/** Makes an adapter with the settings of a LoraConfig and random values in B. */
function randomAdapter(lora: Readonly<Record<string, unknown>>, seed: number): Adapter {
  const created = createAdapter({
    base: runtime.base.config,
    weights: runtime.base.weights,
    seed,
    rank: lora.r as number,
    alpha: lora.lora_alpha as number,
    useRslora: lora.use_rslora === true,
    useDora: lora.use_dora === true,
    targetModules: lora.target_modules as string[] | string,
    layersToTransform: lora.layers_to_transform as number[] | undefined,
    rankPattern: lora.rank_pattern as Record<string, number> | undefined,
    alphaPattern: lora.alpha_pattern as Record<string, number> | undefined,
  });
  const random = Random.fromSeed(seed);
  const modules = [...created.modules].map(([name, factors]) => {
    const moved = { ...factors, b: factors.b.map(() => 0.3 * random.normal()) };
    const magnitude = factors.magnitude?.map((value) => value * (1 + 0.2 * random.normal()));
    return [name, magnitude ? { ...moved, magnitude } : moved] as const;
  });
  return { ...created, modules: new Map(modules) };
}
