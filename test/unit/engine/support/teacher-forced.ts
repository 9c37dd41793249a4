import { KeyValueCache } from '../../../../core/engine/generation/key-value-cache.ts';
import type { Batch, Runtime } from '../../../../core/engine/runtime.ts';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';

/** Makes the batch of texts with a label at the last token of each. */
export function atEnds(texts: readonly (readonly number[])[]): Batch {
  let end = 0;
  return {
    inputIds: Int32Array.from(texts.flat()),
    sequenceLengths: Int32Array.from(texts, ({ length }) => length),
    labelPositions: Int32Array.from(texts, ({ length }) => (end += length) - 1),
    labelIds: new Int32Array(texts.length),
  };
}

/**
 * Computes the logits after each of the last `steps` tokens of every text (all texts are longer) from cached keys and
 * values: [texts, vocab] at a time. The first ones follow the earlier tokens, which one pass computes.
 */
export async function cachedLogits(
  runtime: Runtime,
  adapter: Adapter | null,
  texts: readonly (readonly number[])[],
  steps: number,
): Promise<Float32Array[]> {
  const beginnings = texts.map((ids) => ids.slice(0, ids.length - steps));
  const cache = new KeyValueCache(runtime.base.config, texts.length);
  for (const _ of texts) cache.add();
  cache.reserve(Math.max(...beginnings.map(({ length }) => length)), 1000);
  const first = await runtime.prefill(adapter, atEnds(beginnings));
  let token = 0;
  cache.write(
    first,
    beginnings.flatMap((ids, row) => ids.map((_, slot) => ({ row, slot, state: first.stateOfToken[token++]! }))),
  );
  const logits = [first.logits];
  for (let step = 0; step < steps; step++) {
    const positions = Int32Array.from(beginnings, ({ length }) => length + step);
    cache.reserve(Math.max(...positions) + 1, 1000);
    const inputIds = Int32Array.from(texts, (ids, row) => ids[positions[row]!]!);
    const { doraFactors } = first;
    const { arrays, slots } = cache;
    const pass = await runtime.decode(adapter, { inputIds, positions, cache: arrays, slots, doraFactors });
    cache.write(
      pass,
      texts.map((_, row) => ({ row, slot: positions[row]!, state: row })),
    );
    logits.push(pass.logits);
  }
  return logits;
}

/** Computes the logits of {@link cachedLogits} by one forward pass over the whole texts. */
export async function fullLogits(
  runtime: Runtime,
  adapter: Adapter | null,
  texts: readonly (readonly number[])[],
  steps: number,
): Promise<Float32Array[]> {
  const batch = atEnds(texts);
  const labelPositions = Int32Array.from({ length: (steps + 1) * texts.length }, (_, label) => {
    const left = steps - Math.floor(label / texts.length);
    return batch.labelPositions[label % texts.length]! - left;
  });
  const logits = await runtime.logits(adapter, {
    ...batch,
    labelPositions,
    labelIds: new Int32Array(labelPositions.length),
  });
  const length = logits.length / (steps + 1);
  return Array.from({ length: steps + 1 }, (_, step) => logits.slice(step * length, (step + 1) * length));
}
