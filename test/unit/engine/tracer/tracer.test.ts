import * as tf from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { runFused } from '../../../../core/engine/eager/fused-ops.ts';
import { selectBackend } from '../../../../core/engine/eager/select-backend.ts';
import type { ValueInfo } from '../../../../core/engine/graph/graph.ts';
import { eliminateDeadNodes } from '../../../../core/engine/graph/passes/eliminate-dead-nodes.ts';
import { fuseGemmAdd } from '../../../../core/engine/graph/passes/products/fuse-gemm-add.ts';
import { sizeName, SYMBOLIC_SIZES } from '../../../../core/engine/graph/symbolic-sizes.ts';
import { record, trace, type TensorProgram } from '../../../../core/engine/tracer/trace.ts';
import { randomSource } from '../support/numeric.ts';
import { operators, runEager, runGraph, type Data } from '../support/traced.ts';

const INPUTS: readonly ValueInfo[] = [
  { name: 'x', shape: [3, 4], type: 'float32' },
  { name: 'y', shape: [3, 4], type: 'float32' },
  { name: 'row', shape: [4], type: 'float32' },
  { name: 'square', shape: [4, 4], type: 'float32' },
  { name: 'stack', shape: [2, 3, 4], type: 'float32' },
  { name: 'ids', shape: [3], type: 'int32' },
];

const random = randomSource(5);
const DATA: Data = Object.fromEntries(
  INPUTS.map(({ name, shape, type }) => {
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    if (type === 'int32') return [name, Int32Array.of(2, 0, 2)];
    return [name, Float32Array.from({ length: size }, () => random() + 0.5)];
  }),
);

/** Expects the graph to compute what tfjs does. */
async function expectSame(program: TensorProgram, graph = trace(program, INPUTS)): Promise<void> {
  const expected = runEager(program, INPUTS, DATA);
  const found = await runGraph(graph, DATA);
  expect(Object.keys(found)).toEqual(Object.keys(expected));
  for (const [name, values] of Object.entries(expected)) {
    expect(found[name]).toHaveLength(values.length);
    values.forEach((value, index) => {
      expect(Math.abs(found[name]![index]! - value)).toBeLessThan(1e-5 * Math.max(1, Math.abs(value)));
    });
  }
}

interface Case {
  readonly name: string;
  readonly program: TensorProgram;
  readonly operators: readonly string[];
}

describe('simplifications while recording', () => {
  it.each<Case>([
    {
      name: 'folds arithmetic on constants',
      program: ({ x }) => ({ z: x!.add(tf.ones([3, 4]).mul(3).sub(1).div(4).sqrt().neg().exp()) }),
      operators: ['Add'],
    },
    {
      name: 'folds reductions and shapes of constants',
      program: ({ x }) => ({
        z: x!.mul(
          tf
            .fill([5, 3], 2)
            .sum(0)
            .mean()
            .reshape([1])
            .add(tf.ones([2]).max()),
        ),
      }),
      operators: ['Mul'],
    },
    {
      name: 'drops neutral operands',
      program: ({ x }) => ({ z: x!.add(0).mul(1).sub(0).div(1).add(tf.zerosLike(x!)).neg() }),
      operators: ['Neg'],
    },
    {
      name: 'multiplies by the reciprocal of a constant',
      program: ({ x }) => ({ z: x!.div(4) }),
      operators: ['Mul'],
    },
    {
      name: 'computes equal subexpressions once',
      program: ({ x, row }) => ({ z: x!.mul(row!).exp().add(x!.mul(row!).exp()) }),
      operators: ['Mul', 'Exp', 'Add'],
    },
    {
      name: 'keeps broadcasts lazy through element-wise operators',
      program: ({ x, row }) => ({
        z: row!
          .add(tf.zeros([3, 4]))
          .exp()
          .mul(2)
          .add(x!),
      }),
      operators: ['Exp', 'Mul', 'Add'],
    },
    {
      name: 'expands a lazy broadcast for operators that need it',
      program: ({ row, square }) => ({
        z: tf.matMul(row!.add(tf.zeros([3, 4])), square!),
      }),
      operators: ['Expand', 'Gemm'],
    },
    {
      name: 'joins reshapes and drops those that change nothing',
      program: ({ x }) => ({ z: x!.reshape([12]).reshape([2, 6]).exp().reshape([6, 2]).reshape([2, 6]) }),
      operators: ['Reshape', 'Exp'],
    },
    {
      name: 'drops slices of the whole',
      program: ({ x }) => ({ z: x!.slice([0, 0], [3, 4]).neg() }),
      operators: ['Neg'],
    },
  ])('$name', async ({ program, operators: expected }) => {
    const graph = eliminateDeadNodes(record(program, INPUTS));
    expect(operators(graph)).toEqual(expected);
    await expectSame(program, graph);
  });
});

describe('passes', () => {
  it('eliminates nodes, constants and inputs that no output needs', async () => {
    const program: TensorProgram = ({ x, y }) => {
      y!.exp().matMul(tf.tensor2d([1, 2, 3, 4], [4, 1]));
      return { z: x!.neg() };
    };
    const recorded = record(program, INPUTS);
    const cleaned = eliminateDeadNodes(recorded);
    expect(operators(recorded)).toContain('Exp');
    expect(operators(cleaned)).toEqual(['Neg']);
    expect(cleaned.constants).toEqual([]);
    expect(cleaned.inputs.map((input) => input.name)).toEqual(['x']);
    await expectSame(program, cleaned);
  });

  const product = (x: tf.Tensor, square: tf.Tensor) => tf.matMul(x, square);

  it.each<Case>([
    {
      name: 'fuses an addition into the product before it, on either side',
      program: ({ x, y, square }) => ({ z: y!.add(product(x!, square!)) }),
      operators: ['Gemm'],
    },
    {
      name: 'fuses one of two products into the other',
      program: ({ x, y, square }) => ({ z: product(x!, square!).add(product(y!, square!)) }),
      operators: ['Gemm', 'Gemm'],
    },
    {
      name: 'leaves a product with another use alone',
      program: ({ x, y, square }) => ({ z: product(x!, square!).add(y!), w: product(x!, square!).exp() }),
      operators: ['Gemm', 'Add', 'Exp'],
    },
    {
      name: 'leaves a broadcast addition alone',
      program: ({ x, row, square }) => ({ z: product(x!, square!).add(row!) }),
      operators: ['Gemm', 'Add'],
    },
    {
      name: 'leaves a product added to itself alone',
      program: ({ x, square }) => ({ z: product(x!, square!).add(product(x!, square!)) }),
      operators: ['Gemm', 'Add'],
    },
  ])('Gemm: $name', async ({ program, operators: expected }) => {
    const fused = fuseGemmAdd(record(program, INPUTS));
    expect(operators(fused)).toEqual(expected);
    await expectSame(program, fused);
  });

  it('Gemm: leaves long products alone, which an addition apart serves better', () => {
    const inputs: ValueInfo[] = [
      { name: 'a', shape: [2, 65], type: 'float32' },
      { name: 'b', shape: [65, 2], type: 'float32' },
    ];
    const graph = record(({ a, b }) => ({ z: product(a!, b!).add(product(a!, b!).exp()) }), inputs);
    const apart = record(({ a, b }) => ({ z: product(a!, b!).add(tf.tensor2d([1, 2, 3, 4], [2, 2])) }), inputs);
    expect(operators(fuseGemmAdd(graph))).toEqual(['Gemm', 'Exp', 'Add']);
    expect(operators(fuseGemmAdd(apart))).toEqual(['Gemm', 'Add']);
  });
});

const compared = (x: tf.Tensor, y: tf.Tensor) =>
  tf.logicalAnd(tf.less(x, y.mul(1.5)), tf.greaterEqual(x, y.mul(0.7))).cast('float32');

describe('kernels compute what tfjs does', () => {
  it.each<[string, TensorProgram]>([
    ['element-wise', ({ x, y }) => ({ z: tf.maximum(x!.sigmoid().log(), y!.rsqrt().square()).sub(y!) })],
    ['trigonometric', ({ x }) => ({ z: x!.sin().mul(x!.cos()).add(x!.tanh()) })],
    [
      'comparisons',
      ({ x, y, ids }) => ({ a: compared(x!, y!), b: tf.equal(ids!, tf.scalar(2, 'int32')).cast('float32') }),
    ],
    ['int32 to float32', ({ ids }) => ({ z: ids!.cast('float32').mul(0.5) })],
    ['reductions', ({ x }) => ({ a: x!.sum(0), b: x!.max(-1, true), c: x!.mean(), d: x!.sum() })],
    ['softmax', ({ x }) => ({ z: tf.softmax(x!) })],
    ['transposed products', ({ x, y }) => ({ a: tf.matMul(x!, y!, true), b: tf.matMul(x!, y!, false, true) })],
    [
      'stacked products',
      ({ stack }) => ({ a: tf.matMul(stack!, stack!, true), b: tf.matMul(stack!, stack!, false, true) }),
    ],
    ['transpose', ({ stack }) => ({ z: tf.transpose(stack!, [1, 2, 0]) })],
    ['slice', ({ stack }) => ({ z: stack!.slice([0, 1, 2], [2, -1, 1]) })],
    ['split and concat', ({ x, y }) => ({ z: tf.concat([...tf.split(x!, [1, 3], 1), y!], 1) })],
    ['gather', ({ x, ids }) => ({ a: tf.gather(x!, ids as tf.Tensor1D), b: tf.gather(x!, ids as tf.Tensor1D, 1) })],
    ['scatter with repeated rows', ({ x, ids }) => ({ z: tf.scatterND(ids!.reshape([3, 1]), x!, [5, 4]) })],
    ['built-in gradients', ({ x, y }) => ({ z: tf.grad((v) => v.mul(y!).exp().sum().log())(x!) })],
  ])('%s', async (_name, program) => {
    await expectSame(program);
  });

  it('says which kernel it does not know', () => {
    expect(() => trace(({ x }) => ({ z: tf.cosh(x!) }), INPUTS)).toThrow("Kernel 'Cosh' not registered");
  });

  it('refuses to read a value, and tensors from outside', () => {
    expect(() => trace(({ x }) => ({ z: x!.mul(x!.dataSync()[0]!) }), INPUTS)).toThrow('no values to read');
    selectBackend('cpu');
    const outside = tf.scalar(2);
    expect(() => trace(({ x }) => ({ z: x!.mul(outside) }), INPUTS)).toThrow('made outside the traced program');
    outside.dispose();
  });

  it('restores the backend, also after an error', () => {
    selectBackend('cpu');
    const failing = () => {
      throw new Error('in the program');
    };
    expect(() => trace(failing, INPUTS)).toThrow('in the program');
    expect(tf.getBackend()).toBe('cpu');
  });

  it('prefers a fused kernel and names its operator', () => {
    const program: TensorProgram = ({ x, row }) => {
      const call = { inputs: { x: x!, weight: row! }, attributes: { epsilon: 1e-5 } };
      return { z: runFused('ReadaptRmsNorm', call, () => [x!.neg(), x!])[0]! };
    };
    expect(operators(trace(program, INPUTS))).toEqual(['SimplifiedLayerNormalization']);
    expect(runEager(program, INPUTS, DATA)['z']![0]).toBe(-DATA['x']![0]!);
  });
});

describe('sizes that differ from call to call', () => {
  type Sizes = Readonly<Record<'tokens' | 'bins' | 'binLength', number>>;
  const inputsOf = ({ tokens, bins, binLength }: Sizes): ValueInfo[] => [
    { name: 'flat', shape: [tokens, 4], type: 'float32' },
    { name: 'stack', shape: [bins, binLength, 4], type: 'float32' },
    { name: 'ids', shape: [tokens], type: 'int32' },
  ];
  const ACTUAL: Sizes = { tokens: 5, bins: 2, binLength: 3 };
  const numbers = randomSource(11);
  const data: Data = {
    flat: Float32Array.from({ length: 20 }, numbers),
    stack: Float32Array.from({ length: 24 }, numbers),
    ids: Int32Array.of(4, 0, 4, 1, 2),
  };

  it.each<[string, (sizes: Sizes) => TensorProgram]>([
    [
      'a reshape that keeps sizes in their places',
      (n) =>
        ({ stack }) => ({ z: stack!.reshape([n.bins, n.binLength, 2, 2]).neg() }),
    ],
    [
      'a reshape with one size left to infer',
      (n) =>
        ({ stack }) => ({ z: stack!.reshape([n.bins * n.binLength, 4]).neg() }),
    ],
    [
      'a reshape that needs sizes read',
      (n) =>
        ({ stack }) => ({ z: tf.transpose(stack!, [2, 0, 1]).reshape([n.bins, n.binLength, 4]) }),
    ],
    [
      'a broadcast in full',
      (n) =>
        ({ flat }) => ({ z: tf.concat([flat!, flat!.sum(0, true).add(tf.zeros([n.tokens, 4]))], 1) }),
    ],
    [
      'zeros to scatter into',
      (n) =>
        ({ flat, ids }) => ({ z: tf.scatterND(ids!.reshape([-1, 1]), flat!, [n.tokens, 4]) }),
    ],
    [
      'a number reshaped beside them',
      (n) =>
        ({ flat }) => ({
          z: flat!
            .sum()
            .reshape([1, 1])
            .add(tf.zeros([n.tokens, 4]))
            .mul(flat!),
        }),
    ],
    [
      'sums and gradients over them',
      () =>
        ({ flat }) => ({ z: tf.grad((v) => v.square().sum())(flat!), sum: flat!.sum() }),
    ],
  ])('%s', async (_name, program) => {
    const graph = trace(program(SYMBOLIC_SIZES), inputsOf(SYMBOLIC_SIZES));
    const actual = inputsOf(ACTUAL);
    const inputs = graph.inputs.map(({ name }) => actual.find((info) => info.name === name)!);
    const found = await runGraph({ ...graph, inputs }, data);
    for (const [name, values] of Object.entries(runEager(program(ACTUAL), actual, data))) {
      expect(found[name]).toHaveLength(values.length);
      values.forEach((value, index) => expect(found[name]![index]).toBeCloseTo(value, 5));
    }
  });

  it('have names for people', () => {
    const { tokens, bins, binLength } = SYMBOLIC_SIZES;
    expect([tokens, 3 * bins * binLength, 64].map(sizeName)).toEqual(['tokens', '3·bins·binLength', '64']);
  });

  it('are counted when the graph runs', () => {
    const graph = trace(({ flat }) => ({ z: tf.onesLike(flat!).sum() }), inputsOf(SYMBOLIC_SIZES));
    expect(operators(graph)).toContain('ReduceSum');
  });
});
