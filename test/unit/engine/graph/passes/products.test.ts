import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { Graph, ValueInfo } from '../../../../../core/engine/graph/graph.ts';
import { eliminateDeadNodes } from '../../../../../core/engine/graph/passes/eliminate-dead-nodes.ts';
import { fuseSiblingProducts } from '../../../../../core/engine/graph/passes/products/fuse-sibling-products.ts';
import { joinSummedProducts } from '../../../../../core/engine/graph/passes/products/join-summed-products.ts';
import { record, type TensorProgram } from '../../../../../core/engine/tracer/trace.ts';
import { largestDifference, randomSource } from '../../support/numeric.ts';
import { operators, runGraph, type Data } from '../../support/traced.ts';

const INPUTS: readonly ValueInfo[] = [
  { name: 'x', shape: [5, 80], type: 'float32' },
  { name: 'y', shape: [5, 80], type: 'float32' },
  { name: 'a', shape: [3, 80], type: 'float32' },
  { name: 'b', shape: [2, 80], type: 'float32' },
  { name: 'c', shape: [4, 80], type: 'float32' },
  { name: 'wide', shape: [70, 80], type: 'float32' },
  { name: 'u', shape: [5, 3], type: 'float32' },
  { name: 'v', shape: [5, 2], type: 'float32' },
];
const random = randomSource(8);
const DATA: Data = Object.fromEntries(
  INPUTS.map(({ name, shape }) => [name, Float32Array.from({ length: shape[0]! * shape[1]! }, () => random() - 0.5)]),
);

const product = (x: tf.Tensor, y: tf.Tensor, transposed = true) => tf.matMul(x, y, false, transposed);

async function expectEqual(before: Graph, after: Graph): Promise<void> {
  const [expected, found] = [await runGraph(before, DATA), await runGraph(after, DATA)];
  expect(Object.keys(found)).toEqual(Object.keys(expected));
  for (const [name, values] of Object.entries(expected))
    expect(largestDifference(found[name]!, values)).toBeLessThan(1e-5);
}

interface Case {
  readonly name: string;
  readonly program: TensorProgram;
  readonly operators: readonly string[];
}

describe('fuseSiblingProducts', () => {
  it.each<Case>([
    {
      name: 'joins narrow products of one matrix, and cuts the result apart',
      program: ({ x, a, b, c }) => ({ p: product(x!, a!), q: product(x!, b!), r: product(x!, c!) }),
      operators: ['Concat', 'Gemm', 'Split'],
    },
    {
      name: 'joins what is narrow on the left',
      program: ({ x, u, v }) => ({ p: tf.matMul(u!, x!, true), q: tf.matMul(v!, x!, true) }),
      operators: ['Concat', 'Gemm', 'Split'],
    },
    {
      name: 'leaves wide products and those of other matrices alone',
      program: ({ x, y, a, b, wide }) => ({ p: product(x!, wide!), q: product(x!, a!), r: product(y!, b!) }),
      operators: ['Gemm', 'Gemm', 'Gemm'],
    },
    {
      name: 'leaves products alone that need one another',
      program: ({ x, a }) => {
        const p = product(x!, a!);
        return { p, q: product(x!, tf.matMul(p, x!, true)) };
      },
      operators: ['Gemm', 'Gemm', 'Gemm'],
    },
  ])('$name', async ({ program, operators: expected }) => {
    const graph = record(program, INPUTS);
    const fused = fuseSiblingProducts(graph);
    expect(operators(fused)).toEqual(expected);
    await expectEqual(graph, fused);
  });

  it('keeps a joined product narrow', async () => {
    const inputs = Array.from({ length: 5 }, (_, i): ValueInfo => ({
      name: `w${i}`,
      shape: [30, 80],
      type: 'float32',
    }));
    const program: TensorProgram = ({ x, ...weights }) =>
      Object.fromEntries(Object.entries(weights).map(([name, w]) => [`${name}.p`, product(x!, w)]));
    const fused = fuseSiblingProducts(record(program, [INPUTS[0]!, ...inputs]));
    expect(operators(fused).filter((op) => op === 'Gemm')).toHaveLength(3);
  });
});

describe('joinSummedProducts', () => {
  it.each<Case>([
    {
      name: 'makes a sum of short products one product',
      program: ({ u, v, a, b }) => ({ z: product(u!, a!, false).add(product(v!, b!, false)) }),
      operators: ['Concat', 'Concat', 'Gemm'],
    },
    {
      name: 'adds what else is in the sum, long products too',
      program: ({ x, y, u, v, a, b, wide }) => ({
        z: product(u!, a!, false)
          .add(y!)
          .add(product(v!, b!, false))
          .add(product(product(x!, wide!), wide!, false)),
      }),
      operators: ['Gemm', 'Gemm', 'Add', 'Concat', 'Concat', 'Gemm', 'Add'],
    },
    {
      name: 'leaves a product alone that something else uses',
      program: ({ u, v, a, b }) => {
        const p = product(u!, a!, false);
        return { z: p.add(product(v!, b!, false)), p };
      },
      operators: ['Gemm', 'Gemm', 'Add'],
    },
    {
      name: 'leaves products alone whose operands lie otherwise',
      program: ({ u, v, a, b }) => ({ z: product(u!, a!, false).add(product(v!, tf.transpose(b!), true)) }),
      operators: ['Gemm', 'Transpose', 'Gemm', 'Add'],
    },
    {
      name: 'leaves a broadcast sum alone',
      program: ({ u, v, a, b }) => ({ z: product(u!, a!, false).add(product(v!.slice([0, 0], [1, 2]), b!, false)) }),
      operators: ['Gemm', 'Slice', 'Gemm', 'Add'],
    },
  ])('$name', async ({ program, operators: expected }) => {
    const graph = eliminateDeadNodes(record(program, INPUTS));
    const joined = joinSummedProducts(graph);
    expect(operators(joined)).toEqual(expected);
    await expectEqual(graph, joined);
  });
});
