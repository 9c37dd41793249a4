import type { Arrays } from '../training/optimizer/adamw.ts';
import { factorArrays, withFactorArrays } from '../training/optimizer/factors.ts';
import type { Adapter, LoraConfig } from '../models/lora/adapter.ts';
import { loraSettings } from '../models/lora/lora-config.ts';

const PREFIX = 'best/';

/** The best candidate's factors as tensors of a checkpoint. */
export function encodeBest({ modules }: Adapter): Map<string, Float32Array> {
  return new Map([...factorArrays(modules)].map(([name, data]) => [`${PREFIX}${name}`, data]));
}

/**
 * The adapter that {@link encodeBest} took apart.
 * @param old adapter of the job, whose modules it has
 * @param config its own, whose ranks may be larger than the old one's
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
