import type { Graph, GraphNode } from '../graph.ts';

/** Operators that cost little beside the matrix products between which their results would wait. */
const CHEAP: ReadonlySet<string> = new Set([
  'Add',
  'Cast',
  'Div',
  'Floor',
  'Gather',
  'GreaterOrEqual',
  'Mul',
  'Reshape',
  'Sigmoid',
  'SimplifiedLayerNormalization',
  'Sub',
  'Tanh',
  'Transpose',
]);

/**
 * Computes anew for the gradients what follows cheaply from values that they keep anyway: normalized rows from the rows,
 * the gated product from gate and up. What would wait in memory from the forward pass to the gradients is halved (Chen
 * et al. 2016, Training deep nets with sublinear memory cost, at the grain of single operators).
 *
 * The forward pass is what the first output needs. The copies stand in the list where the originals do: ONNX Runtime
 * runs a node when its result is asked for, of two operands the one that is listed later first, and so copies last.
 */
export function rematerialize(graph: Graph): Graph {
  const forward = ancestors(graph, graph.outputs[0]?.name);
  const kept = usedOutside(graph, forward);
  const given = new Set([...graph.inputs, ...graph.constants].map(({ name }) => name));
  const values = new Map(graph.values);
  const copies = new Map<string, string>();
  const nodes = graph.nodes.flatMap((node) => {
    if (!forward.has(node)) return [{ ...node, inputs: node.inputs.map((name) => copies.get(name) ?? name) }];
    const repeatable =
      CHEAP.has(node.op) && node.inputs.every((name) => given.has(name) || kept.has(name) || copies.has(name));
    if (!repeatable || !node.outputs.some((name) => kept.has(name))) return [node];
    const inputs = node.inputs.map((name) => copies.get(name) ?? name);
    for (const name of node.outputs) {
      copies.set(name, `${name}.again`);
      values.set(`${name}.again`, { ...values.get(name)!, name: `${name}.again` });
    }
    return [node, { ...node, inputs, outputs: node.outputs.map((name) => `${name}.again`) }];
  });
  return { ...graph, nodes, values };
}

function ancestors(graph: Graph, output: string | undefined): Set<GraphNode> {
  const needed = new Set(output === undefined ? [] : [output]);
  const found = new Set<GraphNode>();
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    found.add(node);
    for (const name of node.inputs) needed.add(name);
  }
  return found;
}

/** Values of the forward pass that other nodes use. */
function usedOutside(graph: Graph, forward: ReadonlySet<GraphNode>): Set<string> {
  return new Set(graph.nodes.filter((node) => !forward.has(node)).flatMap((node) => node.inputs));
}
