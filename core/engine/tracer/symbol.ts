import type { DataType } from '@tensorflow/tfjs';
import { narrowToHalf } from '../../formats/safetensors/dtypes.ts';
import { sameShape, elementCount, type ConstantData, type ElementType } from '../graph/graph.ts';
import type { GraphBuilder } from './graph-builder.ts';

/**
 * Symbol of a tensor whose elements are all equal, with a value that is known while the program is traced. Operators on
 * it are computed immediately; it is never stored.
 */
export interface ConstantSymbol {
  readonly kind: 'constant';
  readonly value: number;
  readonly shape: readonly number[];
  readonly type: ElementType;
}

/**
 * Symbol of a tensor that a value of the graph holds. The value's own shape (`stored`) may be smaller than the tensor's
 * and broadcasts to it: element-wise operators take the value directly, others need the whole tensor.
 */
export interface ValueSymbol {
  readonly kind: 'value';
  readonly name: string;
  readonly stored: readonly number[];
  readonly shape: readonly number[];
  readonly type: ElementType;
}

/** Stand-in for a tfjs tensor while a program is traced. */
export type TracedSymbol = ConstantSymbol | ValueSymbol;

export function elementType(dtype: DataType): ElementType {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new Error(`a traced tensor has dtype ${dtype}, expected float32, int32 or bool`);
}

export function constantSymbol(value: number, shape: readonly number[], type: ElementType): ConstantSymbol {
  return { kind: 'constant', value, shape, type };
}

/**
 * Makes the symbol of a tensor that a value of the graph holds.
 * @param shape shape of the tensor, if the stored value is smaller and is broadcast to it
 */
export function valueSymbol(graph: GraphBuilder, name: string, shape?: readonly number[]): ValueSymbol {
  const info = graph.value(name);
  return { kind: 'value', name, stored: info.shape, shape: shape ?? info.shape, type: info.type };
}

/** Returns the name of a graph value that can be broadcast to the symbol's shape. */
export function broadcastable(graph: GraphBuilder, symbol: TracedSymbol): string {
  if (symbol.kind === 'value') return symbol.name;
  return graph.constant(symbol.type, [], singleNumber(symbol.type, symbol.value));
}

/** Returns the shape of the graph value that {@link broadcastable} returns. */
export function storedShape(symbol: TracedSymbol): readonly number[] {
  return symbol.kind === 'value' ? symbol.stored : [];
}

/** Returns the name of a graph value that has exactly the symbol's shape. */
export function materialized(graph: GraphBuilder, symbol: TracedSymbol): string {
  const name = broadcastable(graph, symbol);
  const { shape, type } = symbol;
  const stored = storedShape(symbol);
  if (sameShape(stored, shape)) return name;
  const op = elementCount(stored) === elementCount(shape) ? 'Reshape' : 'Expand';
  const sizes = graph.shape(shape, op === 'Reshape' ? stored : undefined);
  return graph.node({ op, inputs: [name, sizes], outputs: [{ shape, type }] })[0];
}

function singleNumber(type: ElementType, value: number): ConstantData {
  switch (type) {
    case 'float32':
      return Float32Array.of(value);
    case 'float64':
      return Float64Array.of(value);
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
