import { describe, expect, it } from 'vitest';
import type { Graph, ValueInfo } from '../../../../../core/engine/graph/graph.ts';
import { fuseSilu } from '../../../../../core/engine/graph/passes/fuse-silu.ts';
import { record } from '../../../../../core/engine/tracer/trace.ts';
import { largestDifference } from '../../support/numeric.ts';
import { operators, runGraph } from '../../support/traced.ts';

const INPUTS: readonly ValueInfo[] = ['x', 'y'].map((name) => ({ name, shape: [2, 9], type: 'float32' }));
/** Includes numbers whose sigmoid is 0 or 1 in float32. */
const X = Float32Array.from([-200, -90, -8, -1, -1e-3, 0, 1e-3, 0.5, 1, 2, 4, 8, 16, 17, 30, 89, 90, 200]);
const DATA = { x: X, y: Float32Array.from(X, (_, i) => i - 9) };

async function expectEqual(found: Graph, expected: Graph): Promise<void> {
  const [a, b] = [await runGraph(found, DATA), await runGraph(expected, DATA)];
  for (const [name, values] of Object.entries(b)) expect(largestDifference(a[name]!, values), name).toBeLessThan(1e-6);
}

describe('fuseSilu', () => {
  it('makes one operator of x · σ(x), in either order', async () => {
    const graph = record(({ x, y }) => ({ z: x!.mul(x!.sigmoid()).add(y!.sigmoid().mul(y!)) }), INPUTS);
    const fused = fuseSilu(graph);
    expect(operators(fused)).toEqual(['QuickGelu', 'QuickGelu', 'Add']);
    await expectEqual(fused, graph);
  });

  it('leaves a sigmoid that something else needs, and one of another number', async () => {
    const graph = record(({ x, y }) => {
      const sigmoid = x!.sigmoid();
      return { z: x!.mul(sigmoid), s: sigmoid.neg(), gate: x!.mul(y!.sigmoid()) };
    }, INPUTS);
    expect(operators(fuseSilu(graph))).toEqual(operators(graph));
    await expectEqual(fuseSilu(graph), graph);
  });
});
