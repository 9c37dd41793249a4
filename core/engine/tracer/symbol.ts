import type { DataType } from '@tensorflow/tfjs';
import { narrowToHalf } from '../../formats/safetensors/dtypes.ts';
import { sameShape, elementCount, type ConstantData, type ElementType } from '../graph/graph.ts';
import type { GraphBuilder } from './graph-builder.ts';

/** A tensor of equal elements whose value is known at trace time. Operators on it are folded; it is never stored. */
export interface ConstantSymbol {
  readonly kind: 'constant';
  readonly value: number;
  readonly shape: readonly number[];
  readonly type: ElementType;
}

/**
 * A tensor held by a graph value. The value's own shape (`stored`) may be smaller than the tensor's and broadcasts to
 * it: element-wise operators take the value directly, others need the whole tensor.
 */
export interface ValueSymbol {
  readonly kind: 'value';
  readonly name: string;
  readonly stored: readonly number[];
  readonly shape: readonly number[];
  readonly type: ElementType;
}

/** Symbol that represents a tfjs tensor during tracing. */
export type TracedSymbol = ConstantSymbol | ValueSymbol;

export function elementType(dtype: DataType): ElementType {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new Error(`a traced tensor has dtype ${dtype}, expected float32, int32 or bool`);
}

export function constantSymbol(value: number, shape: readonly number[], type: ElementType): ConstantSymbol {
  return { kind: 'constant', value, shape, type };
}

/**
 * Makes the symbol of a graph value.
 * @param shape shape of the tensor, if it is larger than the stored value
 */
export function valueSymbol(graph: GraphBuilder, name: string, shape?: readonly number[]): ValueSymbol {
  const info = graph.value(name);
  return { kind: 'value', name, stored: info.shape, shape: shape ?? info.shape, type: info.type };
}

/** Returns a graph value that broadcasts to the symbol's shape. */
export function broadcastable(graph: GraphBuilder, symbol: TracedSymbol): string {
  if (symbol.kind === 'value') return symbol.name;
  return graph.constant(symbol.type, [], singleNumber(symbol.type, symbol.value));
}

/** Shape of the value that {@link broadcastable} returns. */
export function storedShape(symbol: TracedSymbol): readonly number[] {
  return symbol.kind === 'value' ? symbol.stored : [];
}

/** Returns a graph value with exactly the symbol's shape. */
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
