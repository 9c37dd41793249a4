import { broadcast_util } from '@tensorflow/tfjs';
import { DATA_TYPE } from '../../onnx/schema.ts';
import type { ElementType } from '../../graph/graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { broadcastable, constantSymbol, storedShape, valueSymbol, type TracedSymbol } from '../symbol.ts';
import { emit, required, type KernelTable, type TraceKernel } from './kernel.ts';

type Fold = (x: number) => number;
type BinaryFold = (a: number, b: number) => number;

/**
 * Makes the trace kernel of an operator with one operand. It records the operator on the stored elements, before they
 * are broadcast; for a constant, it computes the result immediately.
 */
function unary(op: string | readonly string[], fold: Fold): TraceKernel {
  const ops = typeof op === 'string' ? [op] : op;
  return (graph, inputs) => {
    const x = required(inputs, 'x');
    if (x.kind === 'constant') return { ...x, value: fold(x.value) };
    const { stored, type, shape } = x;
    const name = ops.reduce((input, each) => emit(graph, { op: each, inputs: [input], shape: stored, type }), x.name);
    return valueSymbol(graph, name, shape);
  };
}

/** Returns the operand that an operation leaves unchanged, if there is one: x + 0, x · 1, x − 0, x / 1. */
function withoutNeutral(kernel: string, a: TracedSymbol, b: TracedSymbol): TracedSymbol | null {
  const is = (symbol: TracedSymbol, value: number) => symbol.kind === 'constant' && symbol.value === value;
  if (kernel === 'Add') return is(b, 0) ? a : is(a, 0) ? b : null;
  if (kernel === 'Multiply') return is(b, 1) ? a : is(a, 1) ? b : null;
  if (kernel === 'Sub') return is(b, 0) ? a : null;
  if (kernel === 'RealDiv') return is(b, 1) ? a : null;
  return null;
}

interface Binary {
  readonly op: string;
  readonly fold: BinaryFold;
  readonly output?: ElementType;
}

function binary(kernel: string, { op, fold, output }: Binary): TraceKernel {
  return (graph, inputs) => {
    const a = required(inputs, 'a');
    const b = required(inputs, 'b');
    const shape = broadcastShape(a.shape, b.shape);
    const type = output ?? a.type;
    if (a.kind === 'constant' && b.kind === 'constant') return constantSymbol(fold(a.value, b.value), shape, type);
    const unchanged = withoutNeutral(kernel, a, b);
    if (unchanged) return { ...unchanged, shape };
    return binaryNode(graph, { op, a, b, shape, type });
  };
}

interface BinaryCall {
  readonly op: string;
  readonly a: TracedSymbol;
  readonly b: TracedSymbol;
  readonly shape: readonly number[];
  readonly type: ElementType;
}

/**
 * Records a binary operator. Division by a constant becomes a multiplication. The result is stored no larger than its
 * operands.
 */
function binaryNode(graph: GraphBuilder, { op, a, b, shape, type }: BinaryCall): TracedSymbol {
  const reciprocal = op === 'Div' && b.kind === 'constant' ? { ...b, value: 1 / b.value } : null;
  const operands = [broadcastable(graph, a), broadcastable(graph, reciprocal ?? b)];
  const stored = broadcastShape(storedShape(a), storedShape(b));
  const name = emit(graph, { op: reciprocal ? 'Mul' : op, inputs: operands, shape: stored, type });
  return valueSymbol(graph, name, shape);
}

function broadcastShape(a: readonly number[], b: readonly number[]): number[] {
  return broadcast_util.assertAndGetBroadcastShape([...a], [...b]);
}

const square: TraceKernel = (graph, inputs) => {
  const x = required(inputs, 'x');
  if (x.kind === 'constant') return { ...x, value: x.value * x.value };
  const name = emit(graph, { op: 'Mul', inputs: [x.name, x.name], shape: x.stored, type: x.type });
  return valueSymbol(graph, name, x.shape);
};

const filledLike =
  (value: number): TraceKernel =>
  (_graph, inputs) => {
    const x = required(inputs, 'x');
    return constantSymbol(value, x.shape, x.type);
  };

export const elementwiseKernels: KernelTable = {
  Neg: unary('Neg', (x) => -x),
  Exp: unary('Exp', Math.exp),
  Log: unary('Log', Math.log),
  Sqrt: unary('Sqrt', Math.sqrt),
  Rsqrt: unary(['Sqrt', 'Reciprocal'], (x) => 1 / Math.sqrt(x)),
  Floor: unary('Floor', Math.floor),
  Cos: unary('Cos', Math.cos),
  Sin: unary('Sin', Math.sin),
  Tanh: unary('Tanh', Math.tanh),
  Sigmoid: unary('Sigmoid', (x) => 1 / (1 + Math.exp(-x))),
  Square: square,
  Add: binary('Add', { op: 'Add', fold: (a, b) => a + b }),
  Sub: binary('Sub', { op: 'Sub', fold: (a, b) => a - b }),
  Multiply: binary('Multiply', { op: 'Mul', fold: (a, b) => a * b }),
  RealDiv: binary('RealDiv', { op: 'Div', fold: (a, b) => a / b }),
  Maximum: binary('Maximum', { op: 'Max', fold: Math.max }),
  Equal: binary('Equal', { op: 'Equal', fold: (a, b) => Number(a === b), output: 'bool' }),
  Less: binary('Less', { op: 'Less', fold: (a, b) => Number(a < b), output: 'bool' }),
  GreaterEqual: binary('GreaterEqual', { op: 'GreaterOrEqual', fold: (a, b) => Number(a >= b), output: 'bool' }),
  LogicalAnd: binary('LogicalAnd', { op: 'And', fold: (a, b) => Number(a === 1 && b === 1), output: 'bool' }),
  Identity: (_graph, inputs) => required(inputs, 'x'),
  ZerosLike: filledLike(0),
  OnesLike: filledLike(1),
  Fill: (_graph, _inputs, attributes) => {
    const { shape, value, dtype } = attributes as { shape: number[]; value: number; dtype?: ElementType };
    return constantSymbol(value, shape, dtype ?? 'float32');
  },
  Cast: (graph, inputs, attributes) => {
    const x = required(inputs, 'x');
    const type = attributes['dtype'] as ElementType;
    if (x.type === type) return x;
    if (x.kind === 'constant') return { ...x, type };
    return valueSymbol(graph, castNode(graph, x.name, x.stored, type), x.shape);
  },
};

export function castNode(graph: GraphBuilder, name: string, shape: readonly number[], type: ElementType): string {
  return emit(graph, { op: 'Cast', inputs: [name], shape, type, attributes: { to: DATA_TYPE[type] } });
}
