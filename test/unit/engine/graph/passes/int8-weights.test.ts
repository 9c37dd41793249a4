import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { BoundWeights } from '../../../../../core/engine/compiled/bound-weights.ts';
import { SHIFTED, WEIGHT_INTEGERS } from '../../../../../core/engine/int8/weight-integers.ts';
import { largestName } from '../../../../../core/engine/int8/inputs.ts';
import type { Graph, ValueInfo } from '../../../../../core/engine/graph/graph.ts';
import { eliminateDeadNodes } from '../../../../../core/engine/graph/passes/eliminate-dead-nodes.ts';
import { int8Weights } from '../../../../../core/engine/graph/passes/weights/int8-weights.ts';
import { observeOperands } from '../../../../../core/engine/graph/passes/weights/observe-operands.ts';
import { RoundedWeights } from '../../../../../core/engine/int8/rounding/rounded-weights.ts';
import { record } from '../../../../../core/engine/tracer/trace.ts';
import { randomSource, relativeError } from '../../support/numeric.ts';
import { randomBase } from '../../support/random-model.ts';
import { operators, runGraph, type Data } from '../../support/traced.ts';

const [UP, GATE, HEAD] = ['model.layers.0.mlp.up_proj.weight', 'model.layers.0.mlp.gate_proj.weight', 'lm_head.weight'];
const INPUTS: readonly ValueInfo[] = [
  { name: 'x', shape: [5, 48], type: 'float32' },
  { name: 'dy', shape: [5, 40], type: 'float32' },
  ...[UP, GATE, HEAD].map((name): ValueInfo => ({ name, shape: [40, 48], type: 'float32' })),
];
const random = randomSource(3);
const DATA: Data = Object.fromEntries(
  INPUTS.map(({ name, shape }) => [name, Float32Array.from({ length: shape[0]! * shape[1]! }, () => random() - 0.5)]),
);
// The data have a row of zeros, a large row, and a column far larger than the others, which small weights multiply.
(DATA['dy'] as Float32Array).fill(0, 0, 40);
for (let i = 40; i < 80; i++) (DATA['dy'] as Float32Array)[i]! *= 1000;
for (let row = 0; row < 5; row++) (DATA['x'] as Float32Array)[row * 48 + 7] = 80 * (row + 1);
for (const name of [UP, GATE]) for (let row = 0; row < 40; row++) (DATA[name] as Float32Array)[row * 48 + 7]! *= 0.01;

const program = (inputs: Readonly<Record<string, tf.Tensor>>): Record<string, tf.Tensor> => {
  const matrix = (name: string) => inputs[name] as tf.Tensor2D;
  return {
    up: tf.matMul(matrix('x'), matrix(UP), false, true),
    gate: tf.matMul(matrix('x'), matrix(GATE), false, true),
    logits: tf.matMul(matrix('x'), matrix(HEAD), false, true),
    dx: tf.matMul(matrix('dy'), matrix(UP)),
  };
};
const exact = eliminateDeadNodes(record(program, INPUTS));

/** Provides the weights as the runtime does. */
async function bound(
  graph: Graph,
  { smoothing = new Map<string, Float32Array>(), values = DATA, form = WEIGHT_INTEGERS } = {},
): Promise<Data> {
  const tensors = new Map(
    [UP, GATE, HEAD].map((name) => [name, { shape: [40, 48], data: values[name] as Float32Array }]),
  );
  const base = { ...randomBase(), weights: tensors };
  const rounded = new RoundedWeights({ base, smoothing, threads: 1, form });
  const weights = new BoundWeights(tensors, rounded);
  const data: Record<string, Data[string]> = {};
  for (const { name } of graph.inputs) {
    data[name] = ((await weights.get(name))?.data as Data[string] | undefined) ?? values[name]!;
  }
  await rounded.dispose();
  return data;
}

describe('int8Weights', () => {
  const graph = int8Weights(exact);

  it('multiplies the matrices of layers in 8 bits, quantizes what they share once, and leaves the head alone', () => {
    const ops = operators(graph);
    expect(ops.filter((op) => op === 'MatMulIntegerToFloat')).toHaveLength(3);
    expect(ops.filter((op) => op === 'QuantizeLinear')).toHaveLength(2);
    expect(ops.filter((op) => op === 'Gemm')).toHaveLength(1);
    expect(graph.inputs.map(({ name }) => name)).not.toContain(UP);
  });

  it('gives every row to about one part in a hundred, however large it is, and zeros for a row of zeros', async () => {
    const [expected, found] = [await runGraph(exact, DATA), await runGraph(graph, await bound(graph))];
    for (let row = 1; row < 5; row++) {
      const of = (values: number[]) => values.slice(row * 48, (row + 1) * 48);
      expect(relativeError(of(found['dx']!), of(expected['dx']!)), `row ${row}`).toBeLessThan(0.02);
    }
    expect([...found['dx']!.slice(0, 48)]).toEqual(new Array(48).fill(0));
    expect(relativeError(found['logits']!, expected['logits']!)).toBeLessThan(1e-6);
  });

  it('sums the largest operands exactly on this processor, and unsigned weights on any', async () => {
    const extreme: Data = Object.fromEntries(
      INPUTS.map(({ name, shape }) => [name, new Float32Array(shape[0]! * shape[1]!).fill(1)]),
    );
    const expected = await runGraph(exact, extreme);
    for (const form of [WEIGHT_INTEGERS, SHIFTED]) {
      const graph = int8Weights(exact, form);
      const found = await runGraph(graph, await bound(graph, { values: extreme, form }));
      for (const name of ['up', 'dx']) expect(relativeError(found[name]!, expected[name]!)).toBeLessThan(1e-6);
    }
  });

  it('is more exact with smoothing from the operands that were observed', async () => {
    const observed = await runGraph(observeOperands(exact), DATA);
    const largest = observed[largestName(UP)]!;
    expect(largest[7]).toBe(400);
    const factors = Float32Array.from(largest, (size) => size ** 0.5);
    const smoothed = await bound(graph, { smoothing: new Map([UP, GATE].map((name) => [name, factors])) });
    const expected = (await runGraph(exact, DATA))['gate']!;
    const error = async (data: Data) =>
      relativeError((await runGraph(graph, data))['gate']!.slice(40), expected.slice(40));
    expect(await error(smoothed)).toBeLessThan((await error(await bound(graph))) / 1.5);
  });
});
