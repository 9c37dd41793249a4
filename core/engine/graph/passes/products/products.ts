import { isSymbolic } from '../../symbolic-sizes.ts';
import type { Graph, GraphNode } from '../../graph.ts';

/** Width up to which a product is narrow: bound by memory and by how well the processor's vectors are filled. */
export const NARROW = 64;

/** A matrix product a · b (either transposed) without a third operand. */
export interface Product {
  readonly node: GraphNode;
  readonly a: string;
  readonly b: string;
  readonly transA: boolean;
  readonly transB: boolean;
}

export function asProduct(node: GraphNode | undefined): Product | undefined {
  if (node?.op !== 'Gemm' || node.inputs.length !== 2) return undefined;
  const [a, b] = node.inputs as [string, string];
  return { node, a, b, transA: node.attributes['transA'] === 1, transB: node.attributes['transB'] === 1 };
}

/** [rows, inner, columns]. */
export function productSizes(
  graph: Pick<Graph, 'values'>,
  { a, b, transA, transB }: Product,
): [number, number, number] {
  const [left, right] = [shapeOf(graph, a), shapeOf(graph, b)];
  return [left[transA ? 1 : 0]!, left[transA ? 0 : 1]!, right[transB ? 0 : 1]!];
}

export function isNarrow(size: number): boolean {
  return !isSymbolic(size) && size <= NARROW;
}

export function shapeOf({ values }: Pick<Graph, 'values'>, name: string): readonly number[] {
  return values.get(name)!.shape;
}
