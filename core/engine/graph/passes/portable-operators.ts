import type { Attribute, Constant, ElementType, Graph, GraphNode, ValueInfo } from '../graph.ts';
import { eliminateDeadNodes } from './eliminate-dead-nodes.ts';

/** Outputs of one Split that every provider can write: WebGPU binds each to one of a shader's few storage buffers. */
const MAX_SPLIT_OUTPUTS = 4;

/**
 * The graph in operators that GPU providers of ONNX Runtime compute right. SimplifiedLayerNormalization becomes standard
 * operators: WebGPU's (1.30) gives a wrong second output, which the gradient reads. So does FusedMatMul, which is no
 * part of ONNX and which each provider has in a form of its own, a Split into more parts than a shader can bind, and
 * ConstantOfShape, whose zeros WebGPU would have sent from the CPU. RotaryEmbedding stays: CUDA and WebGPU have it.
 */
export function portableOperators(graph: Graph): Graph {
  const rewriting = new Rewriting(graph);
  for (const node of graph.nodes) {
    const rewrite = REWRITES[node.op];
    if (rewrite) rewrite(rewriting, node);
    else rewriting.nodes.push(node);
  }
  const { nodes, constants, values } = rewriting;
  return eliminateDeadNodes({ ...graph, nodes, constants, values });
}

type Rewrite = (to: Rewriting, node: GraphNode) => void;

const REWRITES: Readonly<Record<string, Rewrite>> = {
  ConstantOfShape: zeros,
  FusedMatMul: fusedMatMul,
  SimplifiedLayerNormalization: rmsNorm,
  Split: split,
};

/** An operator to be added; it takes over `output`, a value of the original graph, or gets a new one of that form. */
interface Call {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly output: string | Omit<ValueInfo, 'name'>;
}

class Rewriting {
  readonly nodes: GraphNode[] = [];
  readonly constants: Constant[];
  readonly values: Map<string, ValueInfo>;
  #names = 0;

  constructor(graph: Graph) {
    this.constants = [...graph.constants];
    this.values = new Map(graph.values);
  }

  value(name: string): ValueInfo {
    const info = this.values.get(name);
    if (!info) throw new Error(`the graph has no value ${name}`);
    return info;
  }

  /** @returns the name of the operator's output */
  add({ op, inputs, attributes = {}, output }: Call): string {
    const name = typeof output === 'string' ? output : this.#declare(output).name;
    this.nodes.push({ op, domain: '', inputs, outputs: [name], attributes });
    return name;
  }

  integers(values: readonly number[]): string {
    return this.#constant('int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  scalar(value: number): string {
    return this.#constant('float32', [], Float32Array.of(value));
  }

  #constant(type: ElementType, shape: readonly number[], data: Constant['data']): string {
    const constant = { ...this.#declare({ type, shape }), data };
    this.constants.push(constant);
    return constant.name;
  }

  #declare(info: Omit<ValueInfo, 'name'>): ValueInfo {
    const value = { ...info, name: `portable${this.#names++}` };
    this.values.set(value.name, value);
    return value;
  }
}

function zeros(to: Rewriting, { inputs, outputs }: GraphNode): void {
  to.add({ op: 'Expand', inputs: [to.scalar(0), inputs[0]!], output: outputs[0]! });
}

/** FusedMatMul(a, b) = MatMul of the operands with their last two axes exchanged where it says so. */
function fusedMatMul(to: Rewriting, { inputs, outputs, attributes }: GraphNode): void {
  const transposed = [attributes['transA'] === 1, attributes['transB'] === 1];
  const operands = inputs.map((name, index) => (transposed[index] ? swapLastAxes(to, name) : name));
  to.add({ op: 'MatMul', inputs: operands, output: outputs[0]! });
}

function swapLastAxes(to: Rewriting, name: string): string {
  const { shape, type } = to.value(name);
  const perm = [...shape.keys()];
  perm.push(...perm.splice(-2).reverse());
  const swapped = perm.map((axis) => shape[axis]!);
  return to.add({ op: 'Transpose', inputs: [name], attributes: { perm }, output: { shape: swapped, type } });
}

/** y = x · r · w and r = 1 / √(mean(x²) + ε) over the last axis. */
function rmsNorm(to: Rewriting, { inputs, outputs, attributes }: GraphNode): void {
  const [x, weight] = inputs as [string, string];
  const [y, inverse] = outputs as [string, string];
  const [whole, rows] = [to.value(y), to.value(inverse)];
  const epsilon = (attributes['epsilon'] as { float: number }).float;
  const squares = to.add({ op: 'Mul', inputs: [x, x], output: whole });
  const axes = to.integers([-1]);
  const mean = to.add({ op: 'ReduceMean', inputs: [squares, axes], attributes: { keepdims: 1 }, output: rows });
  const shifted = to.add({ op: 'Add', inputs: [mean, to.scalar(epsilon)], output: rows });
  const root = to.add({ op: 'Sqrt', inputs: [shifted], output: rows });
  to.add({ op: 'Reciprocal', inputs: [root], output: inverse });
  const normalized = to.add({ op: 'Mul', inputs: [x, inverse], output: whole });
  to.add({ op: 'Mul', inputs: [normalized, weight], output: y });
}

function split(to: Rewriting, node: GraphNode): void {
  if (node.outputs.length <= MAX_SPLIT_OUTPUTS) return void to.nodes.push(node);
  const axis = node.attributes['axis'] as number;
  const axes = to.integers([axis]);
  let start = 0;
  for (const output of node.outputs) {
    const end = start + to.value(output).shape[axis]!;
    to.add({ op: 'Slice', inputs: [node.inputs[0]!, to.integers([start]), to.integers([end]), axes], output });
    start = end;
  }
}
