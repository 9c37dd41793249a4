import { isLayerMatrix } from '../../../int8/inputs.ts';
import { valueOf, type Graph, type GraphNode, type NonEmpty } from '../../graph.ts';
import type { GraphEdit } from '../../graph-edit.ts';
import { isSymbolic } from '../../symbolic-sizes.ts';

/**
 * Largest width at which a product counts as narrow. Its speed is then limited by memory and by unfilled processor
 * vectors.
 */
export const NARROW = 64;

/** A matrix product a · b (either operand may be transposed) without a third operand. */
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

/**
 * Finds the products x Wᵀ and dy W of rows with a matrix W of the base's layers, provided that W is an input of the
 * graph.
 */
export function layerProducts(graph: Graph): Product[] {
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  return graph.nodes.flatMap((node) => {
    const product = asProduct(node);
    return product && !product.transA && inputs.has(product.b) && isLayerMatrix(product.b) ? [product] : [];
  });
}

/**
 * Returns the sizes [rows, inner, columns] of a product [rows, inner] · [inner, columns]; `inner` is the axis that is
 * summed over.
 */
export function productSizes(
  graph: Pick<Graph, 'values'>,
  { a, b, transA, transB }: Omit<Product, 'node'>,
): [number, number, number] {
  const [rows, inner] = matrixShape(graph, a, transA);
  const [, columns] = matrixShape(graph, b, transB);
  return [rows, inner, columns];
}

function matrixShape(graph: Pick<Graph, 'values'>, name: string, transposed: boolean): [number, number] {
  const [rows, columns] = valueOf(graph, name).shape as readonly [number, number];
  return transposed ? [columns, rows] : [rows, columns];
}

export function isNarrow(size: number): boolean {
  return !isSymbolic(size) && size <= NARROW;
}

/** Concatenates matrices side by side (axis 1) or one below the other (axis 0). */
export function concatenate(edit: GraphEdit, names: NonEmpty<string>, axis: 0 | 1): string {
  const length = names.reduce((total, name) => total + valueOf(edit, name).shape[axis]!, 0);
  const shape = valueOf(edit, names[0]).shape.with(axis, length);
  return edit.add({ op: 'Concat', inputs: names, attributes: { axis }, output: { shape, type: 'float32' } });
}
