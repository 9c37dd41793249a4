import { narrowToHalf } from '../../../../formats/safetensors/dtypes.ts';
import { DATA_TYPE } from '../../../onnx/schema.ts';
import type { Constant, ConstantData, Graph, GraphNode, ValueInfo } from '../../graph.ts';
import { eliminateDeadNodes } from '../eliminate-dead-nodes.ts';

/** Largest finite number of float16. */
const LARGEST_HALF = 65504;

/**
 * Constant matrices stored in float16 and widened for each operator that reads one; all is computed in float32. Each
 * reader has a Cast of its own, so that no wide copy outlives it. A Gather is widened after it has picked its rows.
 * @throws RangeError where a matrix holds a number that float16 has not
 */
export function halfPrecisionWeights(graph: Graph): Graph {
  const matrices = graph.constants.filter(({ type, shape }) => type === 'float32' && shape.length === 2);
  const halves = new Map(matrices.map((matrix) => [matrix.name, halfConstant(matrix)]));
  const values = new Map(graph.values);
  for (const half of halves.values()) values.set(half.name, half);
  const nodes = graph.nodes.flatMap((node) =>
    (node.op === 'Gather' ? widenedAfter : widenedBefore)(node, { halves, values }),
  );
  return eliminateDeadNodes({ ...graph, nodes, constants: [...graph.constants, ...halves.values()], values });
}

interface Context {
  readonly halves: ReadonlyMap<string, Constant>;
  /** Grows with the nodes that are added. */
  readonly values: Map<string, ValueInfo>;
}

function widenedBefore(node: GraphNode, { halves, values }: Context): GraphNode[] {
  const casts: GraphNode[] = [];
  const inputs = node.inputs.map((name, index) => {
    const half = halves.get(name);
    if (!half) return name;
    const wide = `${node.outputs[0]}.operand${index}`;
    values.set(wide, { name: wide, shape: half.shape, type: 'float32' });
    casts.push(castToFloat32(half.name, wide));
    return wide;
  });
  return casts.length === 0 ? [node] : [...casts, { ...node, inputs }];
}

function widenedAfter(node: GraphNode, { halves, values }: Context): GraphNode[] {
  const [table, indices] = node.inputs as [string, string];
  const half = halves.get(table);
  if (!half) return [node];
  const output = node.outputs[0]!;
  const narrow = `${output}.float16`;
  values.set(narrow, { ...values.get(output)!, name: narrow, type: 'float16' });
  return [{ ...node, inputs: [half.name, indices], outputs: [narrow] }, castToFloat32(narrow, output)];
}

function castToFloat32(from: string, to: string): GraphNode {
  return { op: 'Cast', domain: '', inputs: [from], outputs: [to], attributes: { to: DATA_TYPE.float32 } };
}

function halfConstant(matrix: Constant): Constant {
  return { ...matrix, name: `${matrix.name}.float16`, type: 'float16', data: halfData(matrix) };
}

/** Kept as long as the array itself: every program of a base has the same weights. */
const HALVES = new WeakMap<ConstantData, Uint16Array>();

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
