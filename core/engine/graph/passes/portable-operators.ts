import { valueOf, type Graph, type GraphNode } from '../graph.ts';
import { GraphEdit, type Operator } from '../graph-edit.ts';

/**
 * Largest number of outputs of one Split that every provider supports: WebGPU binds each to one of a shader's few
 * storage buffers.
 */
const MAX_SPLIT_OUTPUTS = 4;

/**
 * Rewrites the graph with operators that ONNX Runtime's GPU providers compute correctly. SimplifiedLayerNormalization
 * becomes standard operators, because WebGPU (1.30) computes its second output, which the gradient reads, wrongly.
 * FusedMatMul and QuickGelu are replaced because they are not part of ONNX, and because FusedMatMul differs between
 * providers. A Split into more parts than a shader can bind is replaced, and so is ConstantOfShape, whose zeros WebGPU
 * would copy from the CPU. RotaryEmbedding stays: CUDA and WebGPU support it.
 */
export function portableOperators(graph: Graph): Graph {
  const edit = new GraphEdit(graph, 'portable');
  for (const node of graph.nodes) REWRITES[node.op]?.(edit, node);
  return edit.finish();
}

/** Adds the operators that compute a node's outputs in its place. */
type Rewrite = (edit: GraphEdit, node: GraphNode) => void;

const REWRITES: Readonly<Record<string, Rewrite>> = {
  ConstantOfShape: zeros,
  FusedMatMul: fusedMatMul,
  QuickGelu: silu,
  SimplifiedLayerNormalization: rmsNorm,
  Split: split,
};

function zeros(edit: GraphEdit, node: GraphNode): void {
  edit.add({ op: 'Expand', inputs: [edit.scalar(0), ...node.inputs], output: node.outputs[0] }, node);
}

/**
 * Replaces FusedMatMul(a, b) by a MatMul of its operands, with the last two axes swapped where the attributes ask for
 * it.
 */
function fusedMatMul(edit: GraphEdit, node: GraphNode): void {
  const transposed = [node.attributes['transA'] === 1, node.attributes['transB'] === 1];
  const inputs = node.inputs.map((name, index) => (transposed[index] ? swapLastAxes(edit, name, node) : name));
  edit.add({ op: 'MatMul', inputs, output: node.outputs[0] }, node);
}

function swapLastAxes(edit: GraphEdit, name: string, place: GraphNode): string {
  const { shape, type } = valueOf(edit, name);
  const swapped = <T>(items: readonly T[]): T[] => [...items.slice(0, -2), ...items.slice(-2).reverse()];
  const output = { shape: swapped(shape), type };
  return edit.add({ op: 'Transpose', inputs: [name], attributes: { perm: swapped([...shape.keys()]) }, output }, place);
}

/** Computes y = x · r · w and r = 1 / √(mean(x²) + ε) over the last axis. */
function rmsNorm(edit: GraphEdit, node: GraphNode): void {
  const [x, weight] = node.inputs as [string, string];
  const [y, inverse] = node.outputs as readonly [string, string];
  const [whole, rows] = [valueOf(edit, y), valueOf(edit, inverse)];
  const epsilon = (node.attributes['epsilon'] as { float: number }).float;
  const add = (operator: Operator): string => edit.add(operator, node);
  const squares = add({ op: 'Mul', inputs: [x, x], output: whole });
  const axes = edit.integers([-1]);
  const mean = add({ op: 'ReduceMean', inputs: [squares, axes], attributes: { keepdims: 1 }, output: rows });
  const shifted = add({ op: 'Add', inputs: [mean, edit.scalar(epsilon)], output: rows });
  const root = add({ op: 'Sqrt', inputs: [shifted], output: rows });
  add({ op: 'Reciprocal', inputs: [root], output: inverse });
  const normalized = add({ op: 'Mul', inputs: [x, inverse], output: whole });
  add({ op: 'Mul', inputs: [normalized, weight], output: y });
}

/** Replaces the QuickGelu of the pass fuse-silu, x · σ(x). */
function silu(edit: GraphEdit, node: GraphNode): void {
  const [x] = node.inputs as [string];
  const { shape, type } = valueOf(edit, x);
  const sigmoid = edit.add({ op: 'Sigmoid', inputs: [x], output: { shape, type } }, node);
  edit.add({ op: 'Mul', inputs: [x, sigmoid], output: node.outputs[0] }, node);
}

function split(edit: GraphEdit, node: GraphNode): void {
  if (node.outputs.length <= MAX_SPLIT_OUTPUTS) return;
  const [whole] = node.inputs as [string];
  const axis = node.attributes['axis'] as number;
  const axes = edit.integers([axis]);
  let start = 0;
  for (const output of node.outputs) {
    const end = start + valueOf(edit, output).shape[axis]!;
    edit.add({ op: 'Slice', inputs: [whole, edit.integers([start]), edit.integers([end]), axes], output }, node);
    start = end;
  }
}
