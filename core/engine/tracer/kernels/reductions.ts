import { util } from '@tensorflow/tfjs';
import { constantSymbol, materialized } from '../symbol.ts';
import { elementCount } from '../../graph/graph.ts';
import { isSymbolic } from '../../graph/symbolic-sizes.ts';
import { emitSymbol, required, type KernelTable, type TraceKernel } from './kernel.ts';

/**
 * Makes a trace kernel of a reduction.
 * @param fold reduces `count` equal numbers
 */
function reduction(op: string, fold: (value: number, count: number) => number): TraceKernel {
  return (graph, inputs, attributes) => {
    const x = required(inputs, 'x');
    const { axis, reductionIndices, keepDims } = attributes as ReductionAttributes;
    const axes = util.parseAxisParam(axis ?? reductionIndices ?? [...x.shape.keys()], [...x.shape]);
    const count = elementCount(axes.map((each) => x.shape[each]!));
    const shape = reducedShape(x.shape, axes, keepDims ?? false);
    if (x.kind === 'constant' && !isSymbolic(count)) return constantSymbol(fold(x.value, count), shape, x.type);
    const operands = [materialized(graph, x), graph.integers(axes)];
    return emitSymbol(graph, { op, inputs: operands, shape, type: x.type, attributes: { keepdims: keepDims ? 1 : 0 } });
  };
}

interface ReductionAttributes {
  readonly axis?: number | number[];
  readonly reductionIndices?: number | number[];
  readonly keepDims?: boolean;
}

function reducedShape(shape: readonly number[], axes: readonly number[], keepDims: boolean): number[] {
  const kept = shape.map((dimension, axis) => (axes.includes(axis) ? 1 : dimension));
  return keepDims ? kept : kept.filter((_, axis) => !axes.includes(axis));
}

/** Records an operator such as Softmax over the last axis, the only one that tfjs supports. */
function lastAxis(op: string): TraceKernel {
  return (graph, inputs) => {
    const logits = required(inputs, 'logits');
    return emitSymbol(graph, {
      op,
      inputs: [materialized(graph, logits)],
      shape: logits.shape,
      attributes: { axis: -1 },
    });
  };
}

export const reductionKernels: KernelTable = {
  Sum: reduction('ReduceSum', (value, count) => value * count),
  Max: reduction('ReduceMax', (value) => value),
  Mean: reduction('ReduceMean', (value) => value),
  Softmax: lastAxis('Softmax'),
};
