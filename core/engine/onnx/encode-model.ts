import { valueOf, type Attribute, type Constant, type Graph, type GraphNode, type ValueInfo } from '../graph/graph.ts';
import { isSymbolic, sizeName } from '../graph/symbolic-sizes.ts';
import { ATTRIBUTE_TYPE, DATA_TYPE, EXTERNAL, ModelProto } from './schema.ts';

const IR_VERSION = 10;
const OPSETS = [
  { domain: '', version: 20 },
  { domain: 'com.microsoft', version: 1 },
];

/** Encodes a graph as an ONNX model (opset 20 plus ONNX Runtime's `com.microsoft` operators). */
export function encodeModel(graph: Graph): Uint8Array {
  return encode(graph, tensorProto);
}

export interface SplitModel {
  readonly model: Uint8Array;
  /** Constants outside the model, as ONNX Runtime's `externalData` expects them: the arrays themselves, not copies. */
  readonly externalData: readonly { readonly path: string; readonly data: Uint8Array }[];
}

/**
 * Size in bytes above which an array stays outside the model, which protobuf limits to 2 GB. Integer parameters of
 * operators always stay inside.
 */
const MAX_INLINE_BYTES = 1024;

/**
 * Encodes a graph that may hold the base's weights: like {@link encodeModel}, but with large constants outside the
 * model.
 */
export function encodeSplitModel(graph: Graph): SplitModel {
  const isOutside = ({ data, type }: Constant) => type !== 'int64' && data.byteLength > MAX_INLINE_BYTES;
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
 * Lists the values whose shapes ONNX Runtime's shape inference would lose after a Reshape to run-time sizes. ONNX
 * Runtime reuses buffers for values of one shape; with unknown shapes, the search for a free buffer took half of a
 * session's creation.
 */
function intermediates(graph: Graph): ValueInfo[] {
  const listed = new Set(graph.outputs.map(({ name }) => name));
  const names = graph.nodes.flatMap(({ outputs }) => outputs.filter((name) => !listed.has(name)));
  return names.map((name) => valueOf(graph, name));
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
