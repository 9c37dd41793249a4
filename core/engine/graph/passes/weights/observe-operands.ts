import { largestName } from '../../../int8/inputs.ts';
import type { Graph } from '../../graph.ts';
import { GraphEdit } from '../../graph-edit.ts';
import { layerProducts, productSizes } from '../products/products.ts';

/**
 * Adds an output for each product x Wᵀ with a matrix of the base's layers: the largest magnitude in each column of x.
 */
export function observeOperands(graph: Graph): Graph {
  const edit = new GraphEdit(graph, 'observed_');
  for (const product of layerProducts(graph)) {
    if (!product.transB) continue;
    const { a, b } = product;
    const [rows, columns] = productSizes(graph, product);
    const sizes = edit.add({ op: 'Abs', inputs: [a], output: { shape: [rows, columns], type: 'float32' } });
    const output = edit.output({ name: largestName(b), shape: [columns], type: 'float32' });
    edit.add({ op: 'ReduceMax', inputs: [sizes, edit.integers([0])], attributes: { keepdims: 0 }, output });
  }
  return edit.finish();
}
