import { int8InputName, type Int8Input } from '../../../int8/inputs.ts';
import type { Graph } from '../../graph.ts';
import { GraphEdit } from '../../graph-edit.ts';
import { layerProducts, productSizes, type Product } from '../products/products.ts';

/** Operands are whole numbers from -127 to 127; the left one is shifted, since processors multiply u8 by s8. */
const LEVELS = 127;
const SHIFT = 128;

/** Smallest divisor of a row, which keeps a row of zeros, as gradients have, zero. It is below any row that means anything. */
const SMALLEST = 1e-30;

/**
 * Multiplies with the matrices of the base's layers in 8-bit integers, summed in 32 bits: x Wᵀ of activations, with
 * smoothing (int8/smoothing.ts), and dy W of gradients. W has a scale for each column of the product, x one for each row,
 * which follows from its largest number: a row's result depends on that row alone, whatever else is in the batch.
 * Everything else stays in float32.
 */
export function int8Weights(graph: Graph): Graph {
  const edit = new GraphEdit(graph, 'int8_');
  const quantized = new Map<string, QuantizedRows>();
  for (const product of layerProducts(graph)) {
    const key = `${product.a} ${product.transB}`;
    const rows = quantized.get(key) ?? quantizeRows(edit, product);
    quantized.set(key, rows);
    multiply(edit, product, rows);
  }
  return edit.finish();
}

interface QuantizedRows {
  /** [rows, n] uint8: round(127 · x / scale) + 128. */
  readonly integers: string;
  /** [rows, 1] float32, the largest absolute number of each row. */
  readonly scales: string;
}

/** Products that share x have one smoothing, so x is quantized once for all of them. */
function quantizeRows(edit: GraphEdit, product: Product): QuantizedRows {
  const [rows, inner] = productSizes(edit, product);
  const wide = { shape: [rows, inner], type: 'float32' } as const;
  const narrow = { shape: [rows, 1], type: 'float32' } as const;
  const x = product.transB ? smooth(edit, product) : product.a;
  const sizes = edit.add({ op: 'Abs', inputs: [x], output: wide });
  const largest = edit.add({
    op: 'ReduceMax',
    inputs: [sizes, edit.integers([-1])],
    attributes: { keepdims: 1 },
    output: narrow,
  });
  const scales = edit.add({ op: 'Max', inputs: [largest, edit.scalar(SMALLEST)], output: narrow });
  const scaled = edit.add({ op: 'Div', inputs: [x, scales], output: wide });
  const integers = edit.add({
    op: 'QuantizeLinear',
    inputs: [scaled, edit.scalar(1 / LEVELS), edit.scalar(SHIFT, 'uint8')],
    output: { ...wide, type: 'uint8' },
  });
  return { integers, scales };
}

function smooth(edit: GraphEdit, product: Product): string {
  const [rows, inner] = productSizes(edit, product);
  const name = int8InputName({ weight: product.b, part: 'smoothing' });
  const smoothing = edit.input({ name, shape: [inner], type: 'float32' });
  return edit.add({ op: 'Mul', inputs: [product.a, smoothing], output: { shape: [rows, inner], type: 'float32' } });
}

function multiply(edit: GraphEdit, product: Product, { integers, scales }: QuantizedRows): void {
  const { node, b, transB } = product;
  const [rows, inner, columns] = productSizes(edit, product);
  const part = (name: 'matrix' | 'scales'): Int8Input => ({ weight: b, part: transB ? `${name}_transposed` : name });
  const matrix = edit.input({ name: int8InputName(part('matrix')), shape: [inner, columns], type: 'int8' });
  const columnScales = edit.input({ name: int8InputName(part('scales')), shape: [columns], type: 'float32' });
  const unscaled = edit.add({
    op: 'MatMulIntegerToFloat',
    domain: 'com.microsoft',
    inputs: [integers, matrix, edit.scalar(1 / LEVELS), columnScales, edit.scalar(SHIFT, 'uint8')],
    output: { shape: [rows, columns], type: 'float32' },
  });
  edit.add({ op: 'Mul', inputs: [unscaled, scales], output: node.outputs[0] });
}
