import { createHash } from 'node:crypto';
import { CompiledRuntime } from '../../../../core/engine/compiled/compiled-runtime.ts';
import type { ExecutionProvider } from '../../../../core/engine/devices/execution-provider.ts';
import { EngineCache } from '../../../../core/engine/cache/engine-cache.ts';
import { trainableArrays } from '../../../../core/models/lora/trainable-arrays.ts';
import { randomAdapter, randomBase, randomBatch } from './random-model.ts';

/** A cache that counts traced graphs: each of them is written to the cache. */
export class CountingCache extends EngineCache {
  traced = 0;

  override async write(key: string, model: Uint8Array): Promise<void> {
    this.traced++;
    await super.write(key, model);
  }
}

export function randomCase() {
  const base = randomBase();
  const adapter = randomAdapter(base, () => 3);
  return { base, adapter, batch: randomBatch(base, [5, 9, 2]) };
}

/** Computes losses, logits and gradients of the case, with three programs, and hashes every bit. */
export async function computeBits(cache: EngineCache | null, provider?: ExecutionProvider): Promise<string> {
  const { base, adapter, batch } = randomCase();
  const runtime = new CompiledRuntime(base, { threads: 1, cache, provider });
  try {
    const { lossSum, gradients } = await runtime.gradients(adapter, batch, 0.5);
    const trained = [...gradients.values()].flatMap((arrays) => trainableArrays(arrays).map(([, array]) => array));
    const results = [
      await runtime.labelLosses(adapter, batch),
      await runtime.logits(adapter, batch),
      Float32Array.of(lossSum),
      ...trained,
    ];
    const hash = createHash('sha256');
    for (const result of results) hash.update(result);
    return hash.digest('hex');
  } finally {
    await runtime.dispose();
  }
}
