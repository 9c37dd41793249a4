import { readFile } from 'node:fs/promises';
import { withSafetensors } from '../../../../core/formats/safetensors/safetensors.ts';
import type { Adapter, LoraFactors } from '../../../../core/models/lora/adapter.ts';
import { adaptableModules } from '../../../../core/models/architecture/architecture.ts';
import { parseModelConfig } from '../../../../core/formats/hugging-face/config/parse-model-config.ts';
import type { Tensor } from '../../../../core/models/base-model.ts';
import type { WeightSource } from '../../../../core/method/evolution/evolution.ts';

const FOLDER = new URL('../../../fixtures/golden/llama-evolution/', import.meta.url);

export interface GoldenPair {
  readonly prefix: string;
  readonly alpha: number;
  readonly beta: number;
}

export interface GoldenEvolution {
  readonly from: WeightSource;
  readonly to: WeightSource;
  readonly adapter: Adapter;
  readonly pairs: readonly GoldenPair[];
  /** Order of the values in `<prefix>.frobenius`. */
  readonly modules: readonly string[];
  readonly perturbationRank: number;
  readonly values: ReadonlyMap<string, Tensor>;
}

export async function goldenEvolution(): Promise<GoldenEvolution> {
  const json = (await readJson('golden.json')) as {
    pairs: GoldenPair[];
    modules: string[];
    perturbation_rank: number;
    tensors: Record<string, { dtype: string }>;
  };
  const values = await tensorsOf('golden.safetensors', (name) => json.tensors[name]?.dtype === 'F32');
  const [from, to] = await Promise.all([source('base_v1'), source('base_v2')]);
  const adapter = await goldenAdapter(from);
  return {
    from,
    to,
    adapter,
    values,
    pairs: json.pairs,
    modules: json.modules,
    perturbationRank: json.perturbation_rank,
  };
}

async function source(folder: string): Promise<WeightSource> {
  const weights = await tensorsOf(`${folder}/model.safetensors`);
  const config = parseModelConfig(await readJson(`${folder}/config.json`), 'config.json');
  return { config, fingerprint: folder, readWeight: async (name) => weights.get(name)! };
}

async function goldenAdapter(base: WeightSource): Promise<Adapter> {
  const json = (await readJson('adapter/adapter_config.json')) as {
    r: number;
    lora_alpha: number;
    target_modules: string[];
  };
  const tensors = await tensorsOf('adapter/adapter_model.safetensors');
  const modules = adaptableModules(base.config).map(({ name, inFeatures, outFeatures }): [string, LoraFactors] => {
    const factor = (kind: string) => tensors.get(`base_model.model.${name}.lora_${kind}.weight`)!.data;
    const scaling = json.lora_alpha / json.r;
    return [name, { rank: json.r, inFeatures, outFeatures, scaling, a: factor('A'), b: factor('B') }];
  });
  const config = { rank: json.r, alpha: json.lora_alpha, useRslora: false, rankPattern: {}, alphaPattern: {} };
  return { config: { ...config, targetModules: json.target_modules }, modules: new Map(modules) };
}

async function tensorsOf(path: string, wanted: (name: string) => boolean = () => true): Promise<Map<string, Tensor>> {
  return withSafetensors(new URL(path, FOLDER).pathname, async (file) => {
    const names = file.names.filter(wanted);
    return new Map(await Promise.all(names.map(async (name) => [name, await file.read(name)] as const)));
  });
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(new URL(path, FOLDER), 'utf8'));
}
