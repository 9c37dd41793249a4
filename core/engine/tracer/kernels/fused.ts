import type { FusedKernel } from '../../eager/fused-ops.ts';
import { materialized, valueSymbol } from '../symbol.ts';
import { castNode } from './elementwise.ts';
import { emit, emitSymbol, required, type TraceKernel } from './kernel.ts';

/**
 * Records RMSNorm. Inputs are x [rows, n] and weight [n]; outputs are the normalized rows and 1 / √(mean(x²) + ε),
 * [rows, 1].
 */
const rmsNorm: TraceKernel = (graph, inputs, attributes) => {
  const x = required(inputs, 'x');
  const names = graph.node({
    op: 'SimplifiedLayerNormalization',
    inputs: [materialized(graph, x), materialized(graph, required(inputs, 'weight'))],
    outputs: [
      { shape: x.shape, type: 'float32' },
      { shape: [...x.shape.slice(0, -1), 1], type: 'float32' },
    ],
    attributes: { axis: -1, epsilon: { float: attributes['epsilon'] as number } },
  });
  return names.map((name) => valueSymbol(graph, name));
};

/**
 * Records the rotation of queries or keys. Inputs are x [tokens, heads · headDim], cos and sin [tokens, pairs]; the
 * output is x rotated.
 */
const rotary: TraceKernel = (graph, inputs, attributes) => {
  const x = required(inputs, 'x');
  const headDim = attributes['headDim'] as number;
  const [cos, sin] = [required(inputs, 'cos'), required(inputs, 'sin')];
  const [, width] = x.shape as [number, number];
  const [, pairs] = cos.shape as [number, number];
  const oneRow = [1, ...x.shape];
  const reshape = (name: string, from: readonly number[], to: readonly number[]) =>
    emit(graph, { op: 'Reshape', inputs: [name, graph.shape(to, from)], shape: to });
  const rotated = emit(graph, {
    op: 'RotaryEmbedding',
    domain: 'com.microsoft',
    inputs: [
      reshape(materialized(graph, x), x.shape, oneRow),
      graph.integers([0]),
      materialized(graph, cos),
      materialized(graph, sin),
    ],
    shape: oneRow,
    attributes: {
      num_heads: width / headDim,
      interleaved: 0,
      ...(2 * pairs < headDim && { rotary_embedding_dim: 2 * pairs }),
    },
  });
  return [valueSymbol(graph, reshape(rotated, oneRow, x.shape))];
};

/**
 * Records an addition to some rows of a matrix. Inputs are x [rows, n], indices [updated] and updates [updated, n]; the
 * output is x with the updates added to the rows at the indices.
 */
const scatterAdd: TraceKernel = (graph, inputs) => {
  const x = required(inputs, 'x');
  const indices = required(inputs, 'indices');
  const rows = [...indices.shape, 1];
  const reshaped = emit(graph, {
    op: 'Reshape',
    inputs: [materialized(graph, indices), graph.shape(rows, indices.shape)],
    shape: rows,
    type: indices.type,
  });
  const [base, updates] = [materialized(graph, x), materialized(graph, required(inputs, 'updates'))];
  return [
    emitSymbol(graph, {
      op: 'ScatterND',
      inputs: [base, castNode(graph, reshaped, rows, 'int64'), updates],
      shape: x.shape,
      attributes: { reduction: 'add' },
    }),
  ];
};

/** Trace kernels of operators that ONNX Runtime implements as one kernel and tfjs does not have. */
export const fusedKernels: Readonly<Record<FusedKernel, TraceKernel>> = {
  ReadaptRmsNorm: rmsNorm,
  ReadaptRotary: rotary,
  ReadaptScatterAdd: scatterAdd,
};
