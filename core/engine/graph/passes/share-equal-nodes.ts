import type { Graph, GraphNode } from '../graph.ts';
import { GraphEdit } from '../graph-edit.ts';

/**
 * Merges nodes with the same operator, operands and attributes (common subexpressions), which other passes have
 * created. Nodes that compute an output of the graph stay.
 */
export function shareEqualNodes(graph: Graph): Graph {
  const edit = new GraphEdit(graph);
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const known = new Map<string, GraphNode>();
  const merged = new Map<string, string>();
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((name) => merged.get(name) ?? name);
    const key = JSON.stringify([node.domain, node.op, inputs, node.attributes, node.outputs.length]);
    const equal = known.get(key);
    if (equal && !node.outputs.some((name) => outputs.has(name))) {
      for (const [index, name] of equal.outputs.entries()) merged.set(node.outputs[index]!, name);
    } else {
      known.set(key, equal ?? node);
      edit.substitute(node, merged);
    }
  }
  return edit.finish();
}
