import { int8InputName, isLayerMatrix, type Int8Input } from '../../../int8/inputs.ts';
import type { Graph } from '../../graph.ts';
import { eliminateDeadNodes } from '../eliminate-dead-nodes.ts';
import { GraphEdit } from '../../graph-edit.ts';
import { asProduct, productSizes, shapeOf, type Product } from '../products/products.ts';

/** Operands are whole numbers from -127 to 127; the left one is shifted, since processors multiply u8 by s8. */
const LEVELS = 127;
const SHIFT = 128;

/** Below the smallest row that means anything: a row of zeros, as gradients have, stays one. */
const SMALLEST = 1e-30;

/**
 * Products with the matrices of the base's layers become products of 8-bit integers, summed in 32 bits: x Wᵀ of
 * activations, with smoothing (int8/smoothing.ts), and dy W of gradients. W has a scale for each column of the product, x
 * one for each row, which follows from its largest number: a row's result depends on that row alone, whatever else is in
 * the batch. All else stays as it is, in float32.
 */
export function int8Weights(graph: Graph): Graph {
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const edit = new GraphEdit(graph, 'int8_');
  const quantized = new Map<string, QuantizedRows>();
  for (const node of graph.nodes) {
    const product = asProduct(node);
    if (!product || product.transA || !inputs.has(product.b) || !isLayerMatrix(product.b)) continue;
    const key = `${product.a} ${product.transB}`;
    const rows = quantized.get(key) ?? quantizeRows(edit, product);
    quantized.set(key, rows);
    multiply(edit, product, rows);
    edit.remove(node);
  }
  return eliminateDeadNodes(edit.finish());
}

interface QuantizedRows {
  /** [rows, n] uint8: round(127 · x / scale) + 128. */
  readonly integers: string;
  /** [rows, 1] float32, the largest absolute number of each row. */
  readonly scales: string;
}

/** Products that share x have one smoothing, so x is quantized once for all of them. */
function quantizeRows(edit: GraphEdit, product: Product): QuantizedRows {
  const shape = shapeOf(edit, product.a);
  const wide = { shape, type: 'float32' } as const;
  const narrow = { shape: [shape[0]!, 1], type: 'float32' } as const;
  const x = product.transB ? smoothed(edit, product) : product.a;
  const [sizes] = edit.add({ op: 'Abs', inputs: [x], outputs: [wide] }) as [string];
  const largest = edit.add({
    op: 'ReduceMax',
    inputs: [sizes, edit.integers([-1])],
    outputs: [narrow],
    attributes: { keepdims: 1 },
  });
  const [scales] = edit.add({ op: 'Max', inputs: [...largest, edit.scalar(SMALLEST)], outputs: [narrow] }) as [string];
  const scaled = edit.add({ op: 'Div', inputs: [x, scales], outputs: [wide] });
  const [integers] = edit.add({
    op: 'QuantizeLinear',
    inputs: [...scaled, edit.scalar(1 / LEVELS), edit.scalar(SHIFT, 'uint8')],
    outputs: [{ shape, type: 'uint8' }],
  }) as [string];
  return { integers, scales };
}

function smoothed(edit: GraphEdit, { a, b }: Product): string {
  const shape = shapeOf(edit, a);
  const smoothing = edit.input({
    name: int8InputName({ weight: b, part: 'smoothing' }),
    shape: [shape[1]!],
    type: 'float32',
  });
  return edit.add({ op: 'Mul', inputs: [a, smoothing], outputs: [{ shape, type: 'float32' }] })[0]!;
}

function multiply(edit: GraphEdit, product: Product, { integers, scales }: QuantizedRows): void {
  const { node, b, transB } = product;
  const [, inner, columns] = productSizes(edit, product);
  const part = (name: 'matrix' | 'scales'): Int8Input => ({ weight: b, part: transB ? `${name}_transposed` : name });
  const matrix = edit.input({ name: int8InputName(part('matrix')), shape: [inner, columns], type: 'int8' });
  const columnScales = edit.input({ name: int8InputName(part('scales')), shape: [columns], type: 'float32' });
  const product8 = edit.add({
    op: 'MatMulIntegerToFloat',
    domain: 'com.microsoft',
    inputs: [integers, matrix, edit.scalar(1 / LEVELS), columnScales, edit.scalar(SHIFT, 'uint8')],
    outputs: [{ shape: shapeOf(edit, node.outputs[0]!), type: 'float32' }],
  });
  edit.add({ op: 'Mul', inputs: [...product8, scales], outputs: node.outputs });
}
