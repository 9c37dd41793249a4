import type { Graph } from '../graph.ts';
import { int8Inputs } from '../../int8-weights.ts';
import { eliminateDeadNodes } from './eliminate-dead-nodes.ts';
import { GraphEdit } from './graph-edit.ts';
import { asProduct, productSizes, shapeOf } from './products.ts';

/** Operands are whole numbers from -127 to 127; the left one is shifted, since processors multiply u8 by s8. */
const LEVELS = 127;
const SHIFT = 128;

/** Below the smallest row that means anything: a row of zeros, as gradients have, stays one. */
const SMALLEST = 1e-30;

/**
 * Products x W of activations or gradients with the base's matrices become products of 8-bit integers: W with one scale
 * a column of the product, x with one scale a row that follows from its largest number, summed in 32 bits. A row's
 * result depends on that row alone, whatever else is in the batch.
 *
 * @param isFrozen which of the graph's inputs are such matrices
 */
export function int8Weights(graph: Graph, isFrozen: (name: string) => boolean): Graph {
  const frozen = new Set(graph.inputs.map(({ name }) => name).filter(isFrozen));
  const edit = new GraphEdit(graph, 'int8_');
  const rows = new Map<string, QuantisedRows>();
  for (const node of graph.nodes) {
    const product = asProduct(node);
    if (!product || product.transA || !frozen.has(product.b)) continue;
    const left = rows.get(product.a) ?? quantiseRows(edit, product.a);
    rows.set(product.a, left);
    const [, inner, columns] = productSizes(graph, product);
    const { matrix, scales } = int8Inputs(product.b, { transposed: product.transB });
    const right = [
      edit.input({ name: matrix, shape: [inner, columns], type: 'int8' }),
      edit.input({ name: scales, shape: [columns], type: 'float32' }),
    ] as const;
    const output = { shape: shapeOf(graph, node.outputs[0]!), type: 'float32' } as const;
    const [unscaled] = edit.add({
      op: 'MatMulIntegerToFloat',
      domain: 'com.microsoft',
      inputs: [left.integers, right[0], edit.scalar(1 / LEVELS), right[1], edit.scalar(SHIFT, 'uint8')],
      outputs: [output],
    }) as [string];
    edit.add({ op: 'Mul', inputs: [unscaled, left.scales], outputs: node.outputs });
    edit.remove(node);
  }
  return withoutUnusedInputs(eliminateDeadNodes(edit.finish()));
}

interface QuantisedRows {
  /** [rows, n] uint8: round(127 · x / scale) + 128. */
  readonly integers: string;
  /** [rows, 1] the largest absolute number of each row. */
  readonly scales: string;
}

function quantiseRows(edit: GraphEdit, x: string): QuantisedRows {
  const { shape } = edit.values.get(x)!;
  const wide = { shape, type: 'float32' } as const;
  const narrow = { shape: [shape[0]!, 1], type: 'float32' } as const;
  const [sizes] = edit.add({ op: 'Abs', inputs: [x], outputs: [wide] }) as [string];
  const [largest] = edit.add({ op: 'ReduceMax', inputs: [sizes, edit.integers([-1])], outputs: [narrow], attributes: { keepdims: 1 } }) as [string];
  const [scales] = edit.add({ op: 'Max', inputs: [largest, edit.scalar(SMALLEST)], outputs: [narrow] }) as [string];
  const [scaled] = edit.add({ op: 'Div', inputs: [x, scales], outputs: [wide] }) as [string];
  const [integers] = edit.add({
    op: 'QuantizeLinear',
    inputs: [scaled, edit.scalar(1 / LEVELS), edit.scalar(SHIFT, 'uint8')],
    outputs: [{ shape, type: 'uint8' }],
  }) as [string];
  return { integers, scales };
}

/** Matrices that all products have in 8 bits need not be bound. */
function withoutUnusedInputs(graph: Graph): Graph {
  const used = new Set([...graph.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ name }) => name)]);
  return { ...graph, inputs: graph.inputs.filter(({ name }) => used.has(name)) };
}
