import { backend_util, slice_util, util } from '@tensorflow/tfjs';
import { mapNonEmpty, sameShape, elementCount } from '../../graph/graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { materialized, valueSymbol, type TracedSymbol } from '../symbol.ts';
import { emitSymbol, required, type KernelTable, type TraceKernel } from './kernel.ts';

/**
 * Reshapes a tensor. No operator is needed if the symbol is one repeated number, whose broadcast to the new shape stays
 * lazy.
 */
const reshape: TraceKernel = (graph, inputs, attributes) => {
  const x = required(inputs, 'x');
  const shape = util.inferFromImplicitShape([...(attributes['shape'] as number[])], elementCount(x.shape));
  if (x.kind === 'constant') return { ...x, shape };
  if (elementCount(x.stored) === 1 && x.stored.length <= shape.length) return { ...x, shape };
  return reshaped(graph, materialized(graph, x), shape);
};

/**
 * Reshapes a graph's value. If it is the result of another Reshape, reshapes the original, and returns the original if
 * it already has the shape.
 */
function reshaped(graph: GraphBuilder, name: string, shape: readonly number[]): TracedSymbol {
  const producer = graph.producer(name);
  const [origin = name] = producer?.op === 'Reshape' ? producer.inputs : [];
  const { shape: from, type } = graph.value(origin);
  if (sameShape(from, shape)) return valueSymbol(graph, origin);
  return emitSymbol(graph, { op: 'Reshape', inputs: [origin, graph.shape(shape, from)], shape, type });
}

const transpose: TraceKernel = (graph, inputs, attributes) => {
  const x = required(inputs, 'x');
  const perm = attributes['perm'] as number[];
  const shape = perm.map((axis) => x.shape[axis]!);
  if (x.kind === 'constant') return { ...x, shape };
  const name = materialized(graph, x);
  return emitSymbol(graph, { op: 'Transpose', inputs: [name], shape, type: x.type, attributes: { perm } });
};

const slice: TraceKernel = (graph, inputs, attributes) => {
  const x = required(inputs, 'x');
  const { begin, size } = attributes as { begin: number | number[]; size: number | number[] };
  // tfjs types the pair as a list of lists.
  const [starts, shape] = slice_util.parseSliceParams(
    x as unknown as Parameters<typeof slice_util.parseSliceParams>[0],
    begin,
    size,
  ) as [number[], number[]];
  if (x.kind === 'constant') return { ...x, shape };
  const cuts = shape.flatMap((length, axis) => {
    const [start = 0, whole] = [starts[axis], x.shape[axis]];
    return length === whole ? [] : [{ axis, start, end: start + length }];
  });
  if (cuts.length === 0) return x;
  const from = graph.integers(cuts.map(({ start }) => start));
  const to = graph.integers(cuts.map(({ end }) => end));
  const operands = [materialized(graph, x), from, to, graph.integers(cuts.map(({ axis }) => axis))];
  return emitSymbol(graph, { op: 'Slice', inputs: operands, shape, type: x.type });
};

const concat: TraceKernel = (graph, inputs, attributes) => {
  const parts = Object.values(inputs);
  const [first] = parts as [TracedSymbol];
  const axis = singleAxis(attributes['axis'] as number, first);
  const length = parts.reduce((sum, part) => sum + part.shape[axis]!, 0);
  const operands = parts.map((part) => materialized(graph, part));
  const shape = first.shape.with(axis, length);
  return emitSymbol(graph, { op: 'Concat', inputs: operands, shape, type: first.type, attributes: { axis } });
};

const split: TraceKernel = (graph, inputs, attributes) => {
  const x = required(inputs, 'x');
  const { numOrSizeSplits, axis: given } = attributes as { numOrSizeSplits: number | number[]; axis: number };
  const axis = singleAxis(given, x);
  const lengths = backend_util.prepareSplitSize({ shape: [...x.shape] } as never, numOrSizeSplits, axis);
  const outputs = mapNonEmpty(lengths as [number, ...number[]], (length) => {
    return { shape: x.shape.with(axis, length), type: x.type };
  });
  const operands = [materialized(graph, x), graph.integers(lengths)];
  const names = graph.node({ op: 'Split', inputs: operands, outputs, attributes: { axis } });
  return names.map((name) => valueSymbol(graph, name));
};

/** Converts a negative axis to one counted from the first. */
function singleAxis(axis: number, { shape }: TracedSymbol): number {
  return axis < 0 ? axis + shape.length : axis;
}

export const shapeKernels: KernelTable = {
  Reshape: reshape,
  Transpose: transpose,
  Slice: slice,
  Concat: concat,
  SplitV: split,
};
