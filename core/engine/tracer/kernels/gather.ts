import { materialized } from '../symbol.ts';
import { castNode } from './elementwise.ts';
import { emit, emitSymbol, required, type KernelTable, type TraceKernel } from './kernel.ts';

const gather: TraceKernel = (graph, inputs, attributes) => {
  const x = required(inputs, 'x');
  const indices = required(inputs, 'indices');
  const { axis, batchDims } = attributes as { axis: number; batchDims: number };
  if (batchDims !== 0) throw new Error(`traced gather: batchDims is ${batchDims}, expected 0`);
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
  const operands = [materialized(graph, x), materialized(graph, indices)];
  return emitSymbol(graph, { op: 'Gather', inputs: operands, shape, type: x.type, attributes: { axis } });
};

/** Adds rows into a matrix of zeros, each at its index. Rows with equal indices are summed, as in tfjs. */
const scatter: TraceKernel = (graph, inputs, attributes) => {
  const indices = required(inputs, 'indices');
  const updates = required(inputs, 'updates');
  const shape = attributes['shape'] as number[];
  const zeros = emit(graph, { op: 'ConstantOfShape', inputs: [graph.shape(shape)], shape });
  const positions = castNode(graph, materialized(graph, indices), indices.shape, 'int64');
  const operands = [zeros, positions, materialized(graph, updates)];
  return emitSymbol(graph, { op: 'ScatterND', inputs: operands, shape, attributes: { reduction: 'add' } });
};

export const gatherKernels: KernelTable = { GatherV2: gather, ScatterNd: scatter };
