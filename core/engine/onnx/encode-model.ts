import { isSymbolic, sizeName } from '../graph/symbolic-sizes.ts';
import type { Attribute, Constant, Graph, GraphNode, ValueInfo } from '../graph/graph.ts';
import { ATTRIBUTE_TYPE, DATA_TYPE, EXTERNAL, ModelProto } from './schema.ts';

const IR_VERSION = 10;
const OPSETS = [
  { domain: '', version: 20 },
  { domain: 'com.microsoft', version: 1 },
];

/** The bytes of an ONNX model that computes `graph` (opset 20 plus ONNX Runtime's `com.microsoft` operators). */
export function encodeModel(graph: Graph): Uint8Array {
  return encode(graph, tensorProto);
}

export interface SplitModel {
  readonly model: Uint8Array;
  /** The constants beside it, as ONNX Runtime's `externalData` takes them: the arrays themselves, no copies. */
  readonly externalData: readonly { readonly path: string; readonly data: Uint8Array }[];
}

/** Larger arrays of numbers stay out of the model, which protobuf limits to 2 GB; what parameterises operators does not. */
const LARGEST_INSIDE = 1024;

/** As {@link encodeModel}, for graphs that hold the base's weights. */
export function encodeSplitModel(graph: Graph): SplitModel {
  const isOutside = ({ data, type }: Constant) => type !== 'int64' && data.byteLength > LARGEST_INSIDE;
  return {
    model: encode(graph, (constant) => (isOutside(constant) ? externalTensorProto(constant) : tensorProto(constant))),
    externalData: graph.constants
      .filter(isOutside)
      .map((constant) => ({ path: constant.name, data: bytesOf(constant) })),
  };
}

function encode(graph: Graph, initializer: (constant: Constant) => object): Uint8Array {
  const message = {
    irVersion: IR_VERSION,
    producerName: 'readapt',
    opsetImport: OPSETS,
    graph: {
      name: 'program',
      node: graph.nodes.map(nodeProto),
      initializer: graph.constants.map(initializer),
      input: graph.inputs.map(valueInfoProto),
      output: graph.outputs.map(valueInfoProto),
      valueInfo: intermediates(graph).map(valueInfoProto),
    },
  };
  return ModelProto.encode(message).finish();
}

/**
 * What ONNX Runtime's shape inference would lose, a Reshape to sizes that are read at run time. Buffers are reused for
 * values of one shape: with shapes unknown, looking for one among all that are free took half of a session's creation.
 */
function intermediates({ nodes, outputs, values }: Graph): ValueInfo[] {
  const listed = new Set(outputs.map(({ name }) => name));
  return nodes.flatMap((node) => node.outputs.filter((name) => !listed.has(name)).map((name) => values.get(name)!));
}

function nodeProto(node: GraphNode) {
  return {
    name: node.outputs[0],
    opType: node.op,
    domain: node.domain,
    input: node.inputs,
    output: node.outputs,
    attribute: Object.entries(node.attributes).map(([name, value]) => ({ name, ...attributeValue(value) })),
  };
}

function attributeValue(value: Attribute) {
  if (typeof value === 'number') return { i: value, type: ATTRIBUTE_TYPE.int };
  if (typeof value === 'string') return { s: new TextEncoder().encode(value), type: ATTRIBUTE_TYPE.string };
  if ('float' in value) return { f: value.float, type: ATTRIBUTE_TYPE.float };
  return { ints: value, type: ATTRIBUTE_TYPE.ints };
}

function tensorProto(constant: Constant) {
  return { ...tensorHeader(constant), rawData: bytesOf(constant) };
}

function externalTensorProto(constant: Constant) {
  return {
    ...tensorHeader(constant),
    dataLocation: EXTERNAL,
    externalData: [{ key: 'location', value: constant.name }],
  };
}

function tensorHeader({ name, shape, type }: Constant) {
  return { name, dims: shape, dataType: DATA_TYPE[type] };
}

function bytesOf({ data }: Constant): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function valueInfoProto(value: ValueInfo) {
  const shape = {
    dim: value.shape.map((size) => (isSymbolic(size) ? { dimParam: sizeName(size) } : { dimValue: size })),
  };
  return { name: value.name, type: { tensorType: { elemType: DATA_TYPE[value.type], shape } } };
}
