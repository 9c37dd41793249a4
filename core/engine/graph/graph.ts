/**
 * Element types of graph values. int64 occurs only in parameters of operators (axes, shapes). float16, int8 and uint8
 * occur only after the passes that reduce the precision of the base's weights. float64 occurs in no program, but in
 * sums that the evolution needs exactly.
 */
export type ElementType = 'float32' | 'float64' | 'float16' | 'int32' | 'int64' | 'int8' | 'uint8' | 'bool';

/** Data of a constant's elements. A Uint16Array holds the bit patterns of float16. */
export type ConstantData =
  | Float32Array
  | Float64Array
  | Uint16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Int8Array;

/** Attribute of an operator: an integer, a float, a string or a list of integers. */
export type Attribute = number | { readonly float: number } | string | readonly number[];

/** A value of the graph, row-major; its sizes may be symbolic. */
export interface ValueInfo {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: ElementType;
}

export interface Constant extends ValueInfo {
  readonly data: ConstantData;
}

export type NonEmpty<T> = readonly [T, ...T[]];

/** One ONNX operator. `domain` is the operator set that defines it; '' stands for ONNX's own. */
export interface GraphNode {
  readonly op: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: NonEmpty<string>;
  readonly attributes: Readonly<Record<string, Attribute>>;
}

/** A computation graph with nodes in topological order. Passes return a new graph and never modify their argument. */
export interface Graph {
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly constants: readonly Constant[];
  readonly nodes: readonly GraphNode[];
  /** Shape and type of every value in the graph, by the value's name. */
  readonly values: ReadonlyMap<string, ValueInfo>;
}

/**
 * Returns the shape and type of a value.
 * @throws Error if the graph has no value of that name
 */
export function valueOf({ values }: Pick<Graph, 'values'>, name: string): ValueInfo {
  const info = values.get(name);
  if (!info) throw new Error(`the graph has no value ${name}`);
  return info;
}

/** Maps each value's name to the node that computes it; inputs and constants have none. */
export function producersOf(nodes: readonly GraphNode[]): Map<string, GraphNode> {
  const producers = new Map<string, GraphNode>();
  for (const node of nodes) for (const name of node.outputs) producers.set(name, node);
  return producers;
}

/** Counts the uses of each value as an operand. */
export function useCounts({ nodes }: Pick<Graph, 'nodes'>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const node of nodes) for (const name of node.inputs) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

export function mapNonEmpty<T, U>(items: NonEmpty<T>, f: (item: T) => U): NonEmpty<U> {
  return items.map((item) => f(item)) as [U, ...U[]];
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dimension, index) => dimension === b[index]);
}
