import type { Graph } from '../graph.ts';

/** Drops what no output depends on: nodes, constants and inputs (gradients that nobody asked for, unused weights). */
export function eliminateDeadNodes(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map((output) => output.name));
  const nodes = graph.nodes.toReversed().filter((node) => {
    if (!node.outputs.some((name) => needed.has(name))) return false;
    for (const name of node.inputs) needed.add(name);
    return true;
  });
  return {
    ...graph,
    nodes: nodes.reverse(),
    constants: graph.constants.filter((constant) => needed.has(constant.name)),
    inputs: graph.inputs.filter((input) => needed.has(input.name)),
  };
}
