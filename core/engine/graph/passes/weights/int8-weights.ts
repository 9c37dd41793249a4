import { int8InputName, type Int8Input } from '../../../int8/inputs.ts';
import { WEIGHT_INTEGERS, type WeightIntegers } from '../../../int8/weight-integers.ts';
import { valueOf, type Graph } from '../../graph.ts';
import { GraphEdit } from '../../graph-edit.ts';
import { layerProducts, productSizes, type Product } from '../products/products.ts';

/**
 * Largest magnitude of an 8-bit operand. The left operand is shifted by {@link SHIFT}, since processors multiply u8 by
 * s8 or u8.
 */
const LEVELS = 127;
const SHIFT = 128;

/**
 * Smallest divisor of a row. It lets a row of zeros, which occurs in gradients, remain zero, and is below the magnitude
 * of any meaningful row.
 */
const SMALLEST = 1e-30;

/**
 * Computes products with the matrices of the base's layers in 8-bit integers, summed in 32 bits: x Wᵀ of activations,
 * with smoothing (int8/smoothing.ts), and dy W of gradients. W has a scale for each column of the product, and x one
 * for each row, derived from its largest magnitude: a row's result depends on that row alone, not on the rest of the
 * batch. Everything else stays in float32.
 * @param form form of the integers of W
 */
export function int8Weights(graph: Graph, form: WeightIntegers = WEIGHT_INTEGERS): Graph {
  const edit = new GraphEdit(graph, 'int8_');
  const quantized = new Map<string, QuantizedRows>();
  for (const product of layerProducts(graph)) {
    const key = `${product.a} ${product.transB}`;
    const rows = quantized.get(key) ?? quantizeRows(edit, product);
    quantized.set(key, rows);
    multiply(edit, form, product, rows);
  }
  return edit.finish();
}

interface QuantizedRows {
  /** Name of the rounded rows, [rows, n] uint8: round(x / scale) + 128. */
  readonly integers: string;
  /** Name of the scales of the rows, [rows, 1] float32: the largest magnitude of each row / 127. */
  readonly scales: string;
}

/**
 * Quantizes the rows of x. Products that share x have the same smoothing, so x is quantized once for all of them. Two
 * read-only passes find the extremes of each row, and one pass divides by the scales of the rows and rounds; no array
 * of magnitudes or quotients is needed.
 */
function quantizeRows(edit: GraphEdit, product: Product): QuantizedRows {
  const [rows, inner] = productSizes(edit, product);
  const ofRows = { shape: [rows], type: 'float32' } as const;
  const x = product.transB ? smooth(edit, product) : product.a;
  const extreme = (op: 'ReduceMax' | 'ReduceMin') =>
    edit.add({ op, inputs: [x, edit.integers([-1])], attributes: { keepdims: 0 }, output: ofRows });
  const [highest, lowest] = [extreme('ReduceMax'), extreme('ReduceMin')];
  const opposite = edit.add({ op: 'Neg', inputs: [lowest], output: ofRows });
  const largest = edit.add({ op: 'Max', inputs: [highest, opposite, edit.scalar(SMALLEST)], output: ofRows });
  const scales = edit.add({ op: 'Mul', inputs: [largest, edit.scalar(1 / LEVELS)], output: ofRows });
  const integers = edit.add({
    op: 'QuantizeLinear',
    inputs: [x, scales, shifts(edit, scales)],
    attributes: { axis: 0 },
    output: { shape: [rows, inner], type: 'uint8' },
  });
  const column = { shape: [rows, 1], type: 'float32' } as const;
  return { integers, scales: edit.add({ op: 'Reshape', inputs: [scales, edit.integers([-1, 1])], output: column }) };
}

/** Adds a value that repeats {@link SHIFT} for each row, [rows] uint8: the zero points of the rounded rows. */
function shifts(edit: GraphEdit, scales: string): string {
  const { shape } = valueOf(edit, scales);
  const sizes = edit.add({ op: 'Shape', inputs: [scales], output: { shape: [1], type: 'int64' } });
  return edit.add({ op: 'Expand', inputs: [edit.scalar(SHIFT, 'uint8'), sizes], output: { shape, type: 'uint8' } });
}

function smooth(edit: GraphEdit, product: Product): string {
  const [rows, inner] = productSizes(edit, product);
  const name = int8InputName({ weight: product.b, part: 'smoothing' });
  const smoothing = edit.input({ name, shape: [inner], type: 'float32' });
  return edit.add({ op: 'Mul', inputs: [product.a, smoothing], output: { shape: [rows, inner], type: 'float32' } });
}

function multiply(
  edit: GraphEdit,
  { type, zeroPoint }: WeightIntegers,
  product: Product,
  { integers, scales }: QuantizedRows,
): void {
  const { node, b, transB } = product;
  const [rows, inner, columns] = productSizes(edit, product);
  const part = (name: 'matrix' | 'scales'): Int8Input => ({ weight: b, part: transB ? `${name}_transposed` : name });
  const matrix = edit.input({ name: int8InputName(part('matrix')), shape: [inner, columns], type });
  const columnScales = edit.input({ name: int8InputName(part('scales')), shape: [columns], type: 'float32' });
  const unscaled = edit.add({
    op: 'MatMulIntegerToFloat',
    domain: 'com.microsoft',
    inputs: [integers, matrix, edit.scalar(1), columnScales, edit.scalar(SHIFT, 'uint8'), edit.scalar(zeroPoint, type)],
    output: { shape: [rows, columns], type: 'float32' },
  });
  edit.add({ op: 'Mul', inputs: [unscaled, scales], output: node.outputs[0] });
}
