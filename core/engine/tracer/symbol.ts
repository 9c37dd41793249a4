import type { DataType } from '@tensorflow/tfjs';
import { narrowToHalf } from '../../formats/safetensors/dtypes.ts';
import { sameShape, sizeOf, type ElementType } from '../graph/graph.ts';
import type { GraphBuilder } from './graph-builder.ts';

/** A tensor all of whose elements are one number known at trace time: folded, never stored. */
export interface ConstantSymbol {
  readonly kind: 'constant';
  readonly value: number;
  readonly shape: readonly number[];
  readonly type: ElementType;
}

/**
 * A tensor that a graph value holds. The value's own shape (`stored`) may be smaller than the tensor's and broadcasts
 * to it: element-wise operators consume it as it is, others ask for it in full (lazy broadcast).
 */
export interface ValueSymbol {
  readonly kind: 'value';
  readonly name: string;
  readonly stored: readonly number[];
  readonly shape: readonly number[];
  readonly type: ElementType;
}

/** What a tfjs tensor stands for while a program is traced. */
export type TracedSymbol = ConstantSymbol | ValueSymbol;

export function elementType(dtype: DataType): ElementType {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new Error(`a traced tensor has dtype ${dtype}, expected float32, int32 or bool`);
}

export function constantSymbol(value: number, shape: readonly number[], type: ElementType): ConstantSymbol {
  return { kind: 'constant', value, shape, type };
}

/** The symbol of a graph value; `shape` where the tensor is larger than what is stored. */
export function valueSymbol(graph: GraphBuilder, name: string, shape?: readonly number[]): ValueSymbol {
  const info = graph.value(name);
  return { kind: 'value', name, stored: info.shape, shape: shape ?? info.shape, type: info.type };
}

/** A graph value that broadcasts to the symbol's shape. */
export function broadcastable(graph: GraphBuilder, symbol: TracedSymbol): string {
  return symbol.kind === 'value' ? symbol.name : scalarConstant(graph, symbol);
}

/** The shape of `broadcastable(symbol)`. */
export function storedShape(symbol: TracedSymbol): readonly number[] {
  return symbol.kind === 'value' ? symbol.stored : [];
}

/** A graph value with exactly the symbol's shape. */
export function materialized(graph: GraphBuilder, symbol: TracedSymbol): string {
  const name = broadcastable(graph, symbol);
  const { shape, type } = symbol;
  const stored = storedShape(symbol);
  if (sameShape(stored, shape)) return name;
  const op = sizeOf(stored) === sizeOf(shape) ? 'Reshape' : 'Expand';
  return graph.node({
    op,
    inputs: [name, graph.shape(shape, op === 'Reshape' ? stored : undefined)],
    outputs: [{ shape, type }],
  })[0];
}

function scalarConstant(graph: GraphBuilder, symbol: ConstantSymbol): string {
  return graph.constant(symbol.type, [], typedArrayOf(symbol.type, symbol.value));
}

function typedArrayOf(type: ElementType, value: number) {
  switch (type) {
    case 'float32':
      return Float32Array.of(value);
    case 'float16':
      return narrowToHalf(Float32Array.of(value));
    case 'int32':
      return Int32Array.of(value);
    case 'int8':
      return Int8Array.of(value);
    case 'uint8':
    case 'bool':
      return Uint8Array.of(value);
    case 'int64':
      return BigInt64Array.of(BigInt(value));
  }
}
