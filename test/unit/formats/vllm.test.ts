import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readModelConfig } from '../../../core/formats/hugging-face/model-weights.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import { saveAdapter } from '../../../core/formats/peft/peft-adapter-writer.ts';
import { withSafetensors } from '../../../core/formats/safetensors/safetensors.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import { GOLDEN, readJson, temporaryFolder } from './support/folders.ts';
import { checkConfig, isResolved, parseName, rankAndScaling } from './support/vllm.ts';

/** Writes a fixture's adapter with Readapt, as a server would read it. */
async function written(
  name: string,
  baseModelName = 'org/base',
): Promise<{ adapter: Adapter; folder: string; config: Record<string, unknown> }> {
  const adapter = await loadAdapter(join(GOLDEN, name, 'adapter'), await readModelConfig(join(GOLDEN, name, 'base')));
  const folder = join(await temporaryFolder(), 'out');
  await saveAdapter(folder, adapter, { baseModelName, manifest: { baseFingerprint: 'f'.repeat(64) } });
  return { adapter, folder, config: await readJson(join(folder, 'adapter_config.json')) };
}

const keysOf = (folder: string) =>
  withSafetensors(join(folder, 'adapter_model.safetensors'), (file) =>
    Promise.resolve(file.names.map((key) => ({ key, shape: file.entry(key).shape }))),
  );

it.each(['llama-gqa-tied', 'llama-patterns', 'llama-qv-rslora', 'llama-bf16', 'mistral', 'qwen2', 'qwen3'])(
  'vLLM finds in %s what Readapt computes with',
  async (name) => {
    const { adapter, folder, config } = await written(name);
    checkConfig(config);
    const found = new Map<string, Partial<Record<'a' | 'b', readonly number[]>>>();
    for (const { key, shape } of await keysOf(folder)) {
      const { module, isLoraA } = parseName(key);
      found.set(module, { ...found.get(module), [isLoraA ? 'a' : 'b']: shape });
    }
    expect([...found.keys()].sort()).toEqual([...adapter.modules.keys()].sort());
    for (const [module, { rank, scaling, inFeatures, outFeatures }] of adapter.modules) {
      expect(found.get(module)).toEqual({ a: [rank, inFeatures], b: [outFeatures, rank] });
      expect(rankAndScaling(config, module)).toEqual({ rank, scaling });
    }
  },
);

it.each(['org/base', '/models/v2', '/models/v2/', './modèles/v 2'])(
  "vLLM's filesystem resolver serves it with --model %s, and with no other spelling of it",
  async (model) => {
    const { config } = await written('llama-gqa-tied', model);
    expect(isResolved(config, model)).toBe(true);
    for (const other of [`${model}/`, model.replace(/\/$/, ''), model.replace(/^\.\//, ''), `/${model}`])
      expect(isResolved(config, other)).toBe(other === model);
  },
);

it('vLLM refuses DoRA', async () => {
  const { folder, config } = await written('llama-dora');
  expect(() => checkConfig(config)).toThrow('does not yet support DoRA');
  const keys = (await keysOf(folder)).map(({ key }) => key);
  const refused = keys.filter((key) => key.endsWith('lora_magnitude_vector'));
  expect(refused).toHaveLength(14);
  for (const key of refused) expect(() => parseName(key)).toThrow('unsupported LoRA weight');
});
