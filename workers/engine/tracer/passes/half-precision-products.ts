import { narrowToHalf } from '../../../formats/dtypes.ts';
import { DATA_TYPE } from '../../onnx/schema.ts';
import type { Constant, Graph, GraphNode, ValueInfo } from '../graph.ts';
import { eliminateDeadNodes } from './eliminate-dead-nodes.ts';

const PRODUCTS: ReadonlySet<string> = new Set(['Gemm', 'MatMul']);

/** Largest finite number of float16. */
const LARGEST_HALF = 65504;

/**
 * Matrix products in float16, everything else in float32, as PyTorch's autocast does it. Constants that products or a
 * Gather read are stored in float16; other operands are cast, results are cast back, and a product of a product is
 * handed on as it is.
 * @throws RangeError where such a constant holds a number that float16 has not
 */
export function halfPrecisionProducts(graph: Graph): Graph {
  const halving = new Halving(graph);
  for (const node of graph.nodes) {
    if (PRODUCTS.has(node.op)) halving.product(node);
    else if (node.op === 'Gather' && halving.isConstant(node.inputs[0]!)) halving.gather(node);
    else halving.nodes.push(node);
  }
  const { nodes, constants, values } = halving;
  return eliminateDeadNodes({ ...graph, nodes, constants, values });
}

class Halving {
  readonly nodes: GraphNode[] = [];
  readonly constants: Constant[];
  readonly values: Map<string, ValueInfo>;
  readonly #float32Constants: ReadonlyMap<string, Constant>;
  /** float16 values by the float32 values that they stand for. */
  readonly #halves = new Map<string, string>();

  constructor(graph: Graph) {
    this.constants = [...graph.constants];
    this.values = new Map(graph.values);
    const float32 = graph.constants.filter(({ type }) => type === 'float32');
    this.#float32Constants = new Map(float32.map((constant) => [constant.name, constant]));
  }

  isConstant(name: string): boolean {
    return this.#float32Constants.has(name);
  }

  product(node: GraphNode): void {
    this.#computed(node, node.inputs.map((name) => this.#half(name)));
  }

  gather(node: GraphNode): void {
    const [table, indices] = node.inputs as [string, string];
    this.#computed(node, [this.#half(table), indices]);
  }

  /** The node in float16, and its result as float32 for who needs that. */
  #computed(node: GraphNode, inputs: readonly string[]): void {
    const output = node.outputs[0]!;
    const half = this.#declare(output);
    this.nodes.push({ ...node, inputs, outputs: [half] });
    this.#cast(half, output, 'float32');
    this.#halves.set(output, half);
  }

  #half(name: string): string {
    const known = this.#halves.get(name);
    if (known !== undefined) return known;
    const half = this.#declare(name);
    this.#halves.set(name, half);
    const constant = this.#float32Constants.get(name);
    if (constant) this.constants.push({ ...this.values.get(half)!, data: halfData(constant) });
    else this.#cast(name, half, 'float16');
    return half;
  }

  #cast(from: string, to: string, type: 'float16' | 'float32'): void {
    this.nodes.push({ op: 'Cast', domain: '', inputs: [from], outputs: [to], attributes: { to: DATA_TYPE[type] } });
  }

  #declare(name: string): string {
    const half = { ...this.values.get(name)!, name: `${name}.float16`, type: 'float16' as const };
    this.values.set(half.name, half);
    return half.name;
  }
}

/** Kept as long as the array itself: every program of a base has the same weights. */
const HALVES = new WeakMap<object, Uint16Array>();

function halfData({ name, data }: Constant): Uint16Array {
  const known = HALVES.get(data);
  if (known) return known;
  const numbers = data as Float32Array;
  const large = numbers.find((value) => Math.abs(value) > LARGEST_HALF);
  if (large !== undefined) throw new RangeError(`${name} holds ${large}, expected at most ${LARGEST_HALF} for float16`);
  const half = narrowToHalf(numbers);
  HALVES.set(data, half);
  return half;
}
