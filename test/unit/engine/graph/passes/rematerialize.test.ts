import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { Graph, ValueInfo } from '../../../../../core/engine/graph/graph.ts';
import { rematerialize } from '../../../../../core/engine/graph/passes/rematerialize.ts';
import { record, type TensorProgram } from '../../../../../core/engine/tracer/trace.ts';
import { largestDifference, randomSource } from '../../support/numeric.ts';
import { operators, runGraph } from '../../support/traced.ts';

const INPUTS: readonly ValueInfo[] = [
  { name: 'x', shape: [4, 6], type: 'float32' },
  { name: 'w', shape: [6, 6], type: 'float32' },
];
const random = randomSource(4);
const data = { x: Float32Array.from({ length: 24 }, random), w: Float32Array.from({ length: 36 }, random) };

/** A program with the loss Σ f(x w)² and its gradient by w. */
const programOf =
  (f: (product: tf.Tensor) => tf.Tensor): TensorProgram =>
  ({ x, w }) => {
    const loss = (weight: tf.Tensor) =>
      f(tf.matMul(x as tf.Tensor2D, weight as tf.Tensor2D))
        .square()
        .sum<tf.Scalar>();
    const { value, grads } = tf.valueAndGrads(loss)([w!]);
    return { loss: value, dw: grads[0]! };
  };

async function expectEqual(before: Graph, after: Graph): Promise<void> {
  const [expected, found] = [await runGraph(before, data), await runGraph(after, data)];
  for (const [name, values] of Object.entries(expected)) expect(largestDifference(found[name]!, values)).toBe(0);
}

const usesOf = (graph: Graph, name: string) =>
  graph.nodes.filter(({ inputs }) => inputs.includes(name)).map(({ op }) => op);
const producer = (graph: Graph, op: string) => graph.nodes.find((node) => node.op === op)!;

describe('rematerialize', () => {
  it('computes anew what follows cheaply from a value that is kept', async () => {
    // The gradient of the sigmoid s needs s, that of the square needs s · z, and that of s · z needs both. So z is
    // kept, and s and s · z are recomputed from it.
    const graph = record(
      programOf((z) => z.sigmoid().mul(z)),
      INPUTS,
    );
    const rematerialized = rematerialize(graph);
    const sigmoid = producer(rematerialized, 'Sigmoid').outputs[0];
    expect(usesOf(rematerialized, sigmoid)).toEqual(['Mul']);
    expect(usesOf(rematerialized, `${sigmoid}.again`).length).toBeGreaterThan(1);
    expect(operators(rematerialized).filter((op) => op === 'Sigmoid')).toHaveLength(2);
    await expectEqual(graph, rematerialized);
  });

  it('keeps what only follows from values that would have to be kept for it', async () => {
    // The gradient of the sigmoid s needs s, and none needs z.
    const graph = record(
      programOf((z) => z.sigmoid()),
      INPUTS,
    );
    expect(operators(rematerialize(graph)).filter((op) => op === 'Sigmoid')).toHaveLength(1);
    await expectEqual(graph, rematerialize(graph));
  });

  it('never repeats a product', () => {
    const graph = record(
      programOf((z) => z.sigmoid().mul(z)),
      INPUTS,
    );
    const products = (g: Graph) => operators(g).filter((op) => op === 'Gemm').length;
    expect(products(rematerialize(graph))).toBe(products(graph));
  });

  it('changes nothing where there are no gradients', () => {
    const graph = record(({ x, w }) => ({ z: tf.matMul(x!, w!).sigmoid().add(1) }), INPUTS);
    expect(rematerialize(graph).nodes).toEqual(graph.nodes);
  });
});
