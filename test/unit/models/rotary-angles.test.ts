import { afterEach, describe, expect, it } from 'vitest';
import { createRuntime } from '../../../core/engine/create-runtime.ts';
import { COMPARED_DEVICES } from '../engine/support/opened-runtimes.ts';
import type { Runtime } from '../../../core/engine/runtime.ts';
import type { RotaryScaling } from '../../../core/models/config/model-config.ts';
import { rotaryFrequencies } from '../../../core/models/config/rope.ts';
import { rotaryAngles } from '../../../core/models/config/rotary-angles.ts';
import { makeBatch } from '../../../core/data/batching.ts';
import { exampleOf } from '../../../core/data/example.ts';
import { largestDifference, sum } from '../engine/support/numeric.ts';
import { randomBase } from '../engine/support/random-model.ts';

/** The two kinds that depend on the text length; both change beyond 8 tokens. */
const LONGROPE: RotaryScaling = {
  type: 'longrope',
  factor: 2,
  originalMaxPositionEmbeddings: 8,
  shortFactor: [1, 1, 1],
  longFactor: [2, 3, 4],
  attentionFactor: null,
};
const SCALINGS: RotaryScaling[] = [{ type: 'dynamic', factor: 3 }, LONGROPE];

const row = (length: number, completion = 2) => {
  const ids = Array.from({ length }, (_, i) => (7 * i + length) % 50);
  return exampleOf(ids.slice(0, -completion), ids.slice(-completion), { prompt: '', completion: '' });
};

describe.each(SCALINGS)('$type scaling', (ropeScaling) => {
  const base = randomBase({ ropeScaling, maxPositionEmbeddings: 8 });
  let runtime: Runtime | undefined;
  afterEach(() => runtime?.dispose());

  it('turns each sequence by the length of its own text', () => {
    const lengths = { sequenceLengths: Int32Array.of(2, 12), textLengths: Int32Array.of(3, 13) };
    const [short, long] = [rotaryFrequencies(base.config, 3), rotaryFrequencies(base.config, 13)];
    const angles = rotaryAngles(base.config, lengths, 'full_attention');
    expect(short).not.toEqual(long);
    expect(angles).toHaveLength(14 * 3);
    expect(angles.slice(0, 6)).toEqual(Float32Array.of(0, 0, 0, ...short));
    expect(angles.slice(-3)).toEqual(long.map((frequency) => 11 * frequency));
    expect(rotaryAngles(base.config, { sequenceLengths: lengths.textLengths }, 'full_attention')).toHaveLength(16 * 3);
  });

  it('counts the last token, which is predicted and never read', () => {
    const angles = (length: number) => rotaryAngles(base.config, makeBatch([row(length)]), 'full_attention');
    expect(angles(9).slice(3, 6)).toEqual(rotaryFrequencies(base.config, 9));
    expect(angles(8).slice(3, 6)).toEqual(rotaryFrequencies(base.config, 8));
    expect(rotaryFrequencies(base.config, 9)).not.toEqual(rotaryFrequencies(base.config, 8));
  });

  it.each(COMPARED_DEVICES)('%s: a row has the loss that it has alone, whatever lies beside it', async (device) => {
    runtime = createRuntime({ device, base, threads: 1 });
    const rows = [row(5), row(30), row(9), row(14)];
    const losses = (of: typeof rows) => runtime!.labelLosses(null, makeBatch(of));
    const alone: number[] = [];
    for (const each of rows) alone.push(...(await losses([each])));
    expect(largestDifference(await losses(rows), alone)).toBeLessThan(1e-5);
    expect(sum(alone)).toBeGreaterThan(1);
  });
});
