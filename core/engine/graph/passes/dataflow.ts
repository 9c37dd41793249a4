import type { Graph, GraphNode } from '../graph.ts';

/** The node that makes each value, by the value's name; inputs and constants have none. */
export function producersOf(nodes: readonly GraphNode[]): Map<string, GraphNode> {
  return new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
}

/** How many operands each value is. */
export function useCounts({ nodes }: Pick<Graph, 'nodes'>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const node of nodes) for (const name of node.inputs) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}
