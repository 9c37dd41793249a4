import type { Arrays } from '../training/optimizer/adamw.ts';
import { factorArrays, withFactorArrays } from '../training/optimizer/factors.ts';
import type { Adapter, LoraConfig } from '../models/lora/adapter.ts';
import { loraSettings } from '../models/lora/lora-config.ts';

const PREFIX = 'best/';

/** Converts the factors of the best candidate's adapter to tensors of a checkpoint. */
export function encodeBest({ modules }: Adapter): Map<string, Float32Array> {
  return new Map([...factorArrays(modules)].map(([name, data]) => [`${PREFIX}${name}`, data]));
}

/**
 * Restores the best candidate's adapter from the tensors that {@link encodeBest} has made.
 * @param old the job's old adapter, which has the same modules
 * @param config configuration of the adapter to restore; its ranks may be larger than those of the old adapter
 * @throws RangeError if the checkpoint lacks a tensor
 */
export function decodeBest(tensors: Arrays, old: Adapter, config: LoraConfig): Adapter {
  const settings = loraSettings(config, [...old.modules.keys()]);
  const modules = [...old.modules].map(([name, factors]) => {
    const { rank, scaling } = settings.get(name)!;
    return [name, { ...factors, rank, scaling }] as const;
  });
  const own = [...tensors].filter(([name]) => name.startsWith(PREFIX));
  const arrays = new Map(own.map(([name, data]) => [name.slice(PREFIX.length), data]));
  return withFactorArrays({ config, modules: new Map(modules) }, arrays);
}
