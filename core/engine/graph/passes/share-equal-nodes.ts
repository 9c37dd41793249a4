import type { Graph, GraphNode } from '../graph.ts';

/** Nodes with the same operator, operands and attributes become one (common subexpressions that passes have made). */
export function shareEqualNodes(graph: Graph): Graph {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const renamed = new Map<string, string>();
  const known = new Map<string, GraphNode>();
  const nodes = graph.nodes.flatMap((original) => {
    const node = { ...original, inputs: original.inputs.map((name) => renamed.get(name) ?? name) };
    const key = JSON.stringify([node.domain, node.op, node.inputs, node.attributes, node.outputs.length]);
    const equal = known.get(key);
    if (!equal || node.outputs.some((name) => outputs.has(name))) {
      known.set(key, equal ?? node);
      return [node];
    }
    node.outputs.forEach((name, index) => renamed.set(name, equal.outputs[index]!));
    return [];
  });
  return { ...graph, nodes };
}
