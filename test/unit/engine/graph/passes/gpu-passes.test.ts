import * as tf from '@tensorflow/tfjs';
import * as ort from '../../../../../core/engine/compiled/onnx-runtime.ts';
import { describe, expect, it } from 'vitest';
import { encodeSplitModel } from '../../../../../core/engine/onnx/encode-model.ts';
import type { Graph, ValueInfo } from '../../../../../core/engine/graph/graph.ts';
import { bindConstants } from '../../../../../core/engine/graph/passes/bind-constants.ts';
import { halfPrecisionWeights } from '../../../../../core/engine/graph/passes/weights/half-precision-weights.ts';
import { portableOperators } from '../../../../../core/engine/graph/passes/portable-operators.ts';
import { SYMBOLIC_SIZES } from '../../../../../core/engine/graph/symbolic-sizes.ts';
import { trace, type TensorProgram } from '../../../../../core/engine/tracer/trace.ts';
import { narrowToHalf, widenHalf } from '../../../../../core/formats/safetensors/dtypes.ts';
import { rmsNorm } from '../../../../../core/engine/decoder/rms-norm.ts';
import { largestDifference, randomSource } from '../../support/numeric.ts';
import { operators, runGraph, type Data } from '../../support/traced.ts';

const ROWS = 3;

/** @param rows a size that is known only at run time */
const inputsOf = (rows: number): ValueInfo[] => [
  { name: 'x', shape: [rows, 8], type: 'float32' },
  { name: 'stack', shape: [rows, 4, 8], type: 'float32' },
  { name: 'w', shape: [20, 8], type: 'float32' },
  { name: 'norm', shape: [8], type: 'float32' },
  { name: 'ids', shape: [rows], type: 'int32' },
];

const random = randomSource(5);
const DATA: Data = Object.fromEntries(
  inputsOf(ROWS).map(({ name, shape, type }) => {
    const size = shape.reduce((product, dimension) => product * dimension, 1);
    if (type === 'int32') return [name, Int32Array.of(2, 0, 2)];
    return [name, Float32Array.from({ length: size }, () => 2 * random() - 1)];
  }),
);

const traced = (program: TensorProgram): Graph => trace(program, inputsOf(SYMBOLIC_SIZES.tokens));

/** Runs a graph on the CPU with `DATA`. */
function run(graph: Graph): Promise<Record<string, number[]>> {
  const actual = new Map(inputsOf(ROWS).map((input) => [input.name, input]));
  return runGraph({ ...graph, inputs: graph.inputs.map(({ name }) => actual.get(name)!) }, DATA);
}

async function expectClose(found: Graph, expected: Graph, tolerance: number): Promise<void> {
  const [numbers, reference] = [await run(found), await run(expected)];
  expect(Object.keys(numbers)).toEqual(Object.keys(reference));
  for (const [name, values] of Object.entries(reference)) {
    expect(largestDifference(numbers[name]!, values), name).toBeLessThan(tolerance * Math.max(...values.map(Math.abs)));
  }
}

const product: TensorProgram = ({ x, w }) => ({ z: tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D, false, true) });

describe('portable operators', () => {
  const normed = (x: tf.Tensor, norm: tf.Tensor) => rmsNorm(x as tf.Tensor2D, norm as tf.Tensor1D, 1e-5);

  it.each<{ name: string; program: TensorProgram; without: string; with: string }>([
    {
      name: 'RMSNorm and its gradient',
      program: ({ x, norm }) => ({ y: normed(x!, norm!), dx: tf.grad((v) => normed(v, norm!).square().sum())(x!) }),
      without: 'SimplifiedLayerNormalization',
      with: 'ReduceMean',
    },
    {
      name: 'products of stacks',
      program: ({ stack }) => ({
        a: tf.matMul(stack!, stack!, false, true),
        b: tf.matMul(stack!, stack!, true, false),
        c: tf.matMul(stack!, tf.transpose(stack!, [0, 2, 1])),
      }),
      without: 'FusedMatMul',
      with: 'MatMul',
    },
    {
      name: 'SiLU',
      program: ({ x }) => ({ y: x!.mul(x!.sigmoid()) }),
      without: 'QuickGelu',
      with: 'Sigmoid',
    },
    {
      name: 'a split into more parts than four',
      program: ({ x }) => Object.fromEntries(tf.split(x!, 8, 1).map((part, index) => [`part${index}`, part.exp()])),
      without: 'Split',
      with: 'Slice',
    },
    {
      name: 'a split into unequal parts',
      program: ({ x }) =>
        Object.fromEntries(tf.split(x!, [1, 1, 3, 2, 1], 1).map((part, index) => [`part${index}`, part.exp()])),
      without: 'Split',
      with: 'Slice',
    },
    {
      name: 'zeros that are added to',
      program: ({ x, ids }) => ({ z: tf.scatterND(ids!.reshape([-1, 1]), x!, x!.shape) }),
      without: 'ConstantOfShape',
      with: 'Expand',
    },
  ])('$name', async ({ program, without, with: replacement }) => {
    const graph = traced(program);
    const portable = portableOperators(graph);
    expect(operators(graph)).toContain(without);
    expect(operators(portable)).toContain(replacement);
    expect(operators(portable)).not.toContain(without);
    const read = new Set(portable.nodes.flatMap(({ inputs }) => inputs));
    expect(portable.constants.filter(({ name }) => !read.has(name))).toEqual([]);
    await expectClose(portable, graph, 1e-5);
  });

  it('leaves a split into few parts, and everything else, as it is', () => {
    const graph = traced(({ x, w }) => ({
      z: tf.concat(tf.split(x!, 4, 1), 0).exp(),
      y: tf.matMul(x!, w!, false, true),
    }));
    expect(portableOperators(graph).nodes).toEqual(graph.nodes);
  });
});

const WEIGHTS = new Map([['w', DATA['w'] as Float32Array]]);

describe('known inputs as constants', () => {
  it('keeps the array itself, and of the inputs only the unknown', async () => {
    const graph = traced(product);
    const bound = bindConstants(graph, WEIGHTS);
    expect(bound.inputs.map(({ name }) => name)).toEqual(['x']);
    expect(bound.constants.find(({ name }) => name === 'w')!.data).toBe(DATA['w']);
    await expectClose(bound, graph, 1e-6);
  });

  it('lies beside the model where it is large', async () => {
    const large: ValueInfo[] = [
      { name: 'x', shape: [2, 8], type: 'float32' },
      { name: 'w', shape: [8, 64], type: 'float32' },
      { name: 'b', shape: [64], type: 'float32' },
    ];
    const known = new Map([
      ['w', Float32Array.from({ length: 512 }, random)],
      ['b', Float32Array.from({ length: 64 }, random)],
    ]);
    const graph = bindConstants(
      trace(({ x, w, b }) => ({ z: tf.matMul(x!, w!).add(b!) }), large),
      known,
    );
    const { model, externalData } = encodeSplitModel(graph);
    expect(externalData.map(({ path, data }) => [path, data.buffer])).toEqual([['w', known.get('w')!.buffer]]);
    expect(model.length).toBeLessThan(1000);
    const session = await ort.InferenceSession.create(model, { externalData: [...externalData] });
    const x = Float32Array.from({ length: 16 }, random);
    const { z } = await session.run({ x: new ort.Tensor('float32', x, [2, 8]) });
    await session.release();
    const expected = await runGraph(graph, { x });
    expect(largestDifference(z!.data as Float32Array, expected['z']!)).toBeLessThan(1e-6);
  });
});

describe('weights in half precision', () => {
  const halved = (program: TensorProgram): Graph => halfPrecisionWeights(bindConstants(traced(program), WEIGHTS));
  const rounded = new Float32Array(WEIGHTS.get('w')!.length);
  widenHalf(narrowToHalf(WEIGHTS.get('w')!), rounded);
  const onRounded = (program: TensorProgram): Graph => bindConstants(traced(program), new Map([['w', rounded]]));

  it('computes in float32 with a copy for each reader, made where it is read', async () => {
    const program: TensorProgram = ({ x, w }) => ({
      z: tf.matMul(tf.matMul(x!, w!, false, true).exp(), w!).add(w!.sum()),
    });
    const graph = halved(program);
    expect(operators(graph)).toEqual(['Cast', 'Gemm', 'Exp', 'Cast', 'Gemm', 'Cast', 'ReduceSum', 'Add']);
    expect(graph.constants.filter(({ shape }) => shape.length === 2).map(({ type }) => type)).toEqual(['float16']);
    await expectClose(graph, onRounded(program), 1e-6);
  });

  it('picks rows before it widens them', async () => {
    const program: TensorProgram = ({ w, ids }) => ({ z: tf.gather(w!, ids as tf.Tensor1D).neg() });
    const graph = halved(program);
    expect(operators(graph)).toEqual(['Gather', 'Cast', 'Neg']);
    await expectClose(graph, onRounded(program), 1e-6);
  });

  it('leaves vectors and computed matrices alone', () => {
    const graph = bindConstants(
      traced(({ x, norm }) => ({ z: tf.matMul(x!.mul(norm!), x!, true) })),
      new Map([['norm', DATA['norm'] as Float32Array]]),
    );
    expect(halfPrecisionWeights(graph).nodes).toEqual(graph.nodes);
  });

  it('rounds an array once, for all programs that read it', () => {
    const [first, second] = [halved(product), halved(product)].map(({ constants }) =>
      constants.find(({ type }) => type === 'float16')!,
    );
    expect(second!.data).toBe(first!.data);
  });

  it('refuses a matrix that float16 cannot hold', () => {
    const large = new Map([['w', new Float32Array(160).fill(65520)]]);
    const bound = bindConstants(traced(product), large);
    expect(() => halfPrecisionWeights(bound)).toThrow('w holds 65520, expected at most 65504 for float16');
  });
});
