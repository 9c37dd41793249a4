import { isLayerMatrix, largestName } from '../../int8/inputs.ts';
import type { Graph, ValueInfo } from '../graph.ts';
import { GraphEdit } from '../graph-edit.ts';
import { asProduct, shapeOf } from './products/products.ts';

/** Adds an output for each product x Wᵀ with a matrix of the base's layers: the largest absolute number in each column of x. */
export function observeOperands(graph: Graph): Graph {
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const edit = new GraphEdit(graph, 'observed_');
  const outputs: ValueInfo[] = [];
  for (const node of graph.nodes) {
    const product = asProduct(node);
    if (!product?.transB || product.transA || !inputs.has(product.b) || !isLayerMatrix(product.b)) continue;
    const shape = shapeOf(graph, product.a);
    const output: ValueInfo = { name: largestName(product.b), shape: [shape[1]!], type: 'float32' };
    const sizes = edit.add({ op: 'Abs', inputs: [product.a], outputs: [{ shape, type: 'float32' }] });
    edit.add({
      op: 'ReduceMax',
      inputs: [...sizes, edit.integers([0])],
      outputs: [edit.declare(output)],
      attributes: { keepdims: 0 },
    });
    outputs.push(output);
  }
  const observed = edit.finish();
  return { ...observed, outputs: [...observed.outputs, ...outputs] };
}
