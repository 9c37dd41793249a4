/**
 * Element types that occur in graphs: int64 only where operators are parameterised (axes, shapes); float16, int8 and
 * uint8 only after the passes that keep the base's weights in fewer bits.
 */
export type ElementType = 'float32' | 'float16' | 'int32' | 'int64' | 'int8' | 'uint8' | 'bool';

/** float16 as bit patterns. */
export type ConstantData = Float32Array | Uint16Array | Int32Array | BigInt64Array | Uint8Array | Int8Array;

/** An integer, a float, a string or a list of integers. */
export type Attribute = number | { readonly float: number } | string | readonly number[];

/** A value of the graph, row-major; sizes of its shape may be symbolic. */
export interface ValueInfo {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: ElementType;
}

export interface Constant extends ValueInfo {
  readonly data: ConstantData;
}

/** One ONNX operator; `domain` is '' for the standard's own operators. */
export interface GraphNode {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A computation, nodes in topological order. Passes take one and return another; none is changed in place. */
export interface Graph {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly constants: readonly Constant[];
  readonly nodes: readonly GraphNode[];
  /** What is known of every value, by name. */
  readonly values: ReadonlyMap<string, ValueInfo>;
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dimension, index) => dimension === b[index]);
}
