import { narrowToHalf } from '../../../../formats/safetensors/dtypes.ts';
import { DATA_TYPE } from '../../../onnx/schema.ts';
import { valueOf, type Constant, type ConstantData, type Graph, type GraphNode } from '../../graph.ts';
import { GraphEdit } from '../../graph-edit.ts';

/** Largest finite float16. */
const LARGEST_HALF = 65504;

/**
 * Stores constant matrices in float16 and widens them for each operator that reads one; all computations are in
 * float32. Each reader has a Cast of its own, so that no widened copy is needed longer than by its reader. A Gather
 * selects rows before they are widened.
 * @throws RangeError if a matrix holds a number beyond float16's range
 */
export function halfPrecisionWeights(graph: Graph): Graph {
  const edit = new GraphEdit(graph);
  const matrices = graph.constants.filter(({ type, shape }) => type === 'float32' && shape.length === 2);
  const halves = new Map(matrices.map((matrix) => [matrix.name, edit.constant(halfConstant(matrix))]));
  for (const node of graph.nodes) {
    if (!node.inputs.some((name) => halves.has(name))) continue;
    if (node.op === 'Gather') widenResult(edit, node, halves);
    else widenOperands(edit, node, halves);
  }
  return edit.finish();
}

/** Maps the name of each constant matrix in float32 to the name of its float16 form. */
type Halves = ReadonlyMap<string, string>;

function widenOperands(edit: GraphEdit, node: GraphNode, halves: Halves): void {
  const inputs = node.inputs.map((name, index) => {
    const half = halves.get(name);
    if (half === undefined) return name;
    const wide = edit.declare({ ...valueOf(edit, name), name: `${node.outputs[0]}.operand${index}` });
    return castToFloat32(edit, half, wide, node);
  });
  edit.put({ ...node, inputs }, node);
}

function widenResult(edit: GraphEdit, node: GraphNode, halves: Halves): void {
  const [output] = node.outputs;
  const narrow = edit.declare({ ...valueOf(edit, output), name: `${output}.float16`, type: 'float16' });
  edit.put({ ...node, inputs: node.inputs.map((name) => halves.get(name) ?? name), outputs: [narrow] }, node);
  castToFloat32(edit, narrow, output, node);
}

function castToFloat32(edit: GraphEdit, from: string, to: string, place: GraphNode): string {
  return edit.add({ op: 'Cast', inputs: [from], attributes: { to: DATA_TYPE.float32 }, output: to }, place);
}

function halfConstant(matrix: Constant): Constant {
  return { ...matrix, name: `${matrix.name}.float16`, type: 'float16', data: halfData(matrix) };
}

/**
 * Cache of converted arrays, which live as long as the originals, because every program of a base has the same weights.
 */
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
