import type { Graph } from '../graph.ts';
import { GraphEdit } from '../graph-edit.ts';

/**
 * Turns inputs with known values into constants, which a session keeps on its device; an input would be copied there
 * with every run. The data is not copied.
 */
export function bindConstants(graph: Graph, known: ReadonlyMap<string, Float32Array>): Graph {
  const edit = new GraphEdit(graph);
  for (const input of graph.inputs) {
    const data = known.get(input.name);
    if (data) edit.constant({ ...input, data });
  }
  return edit.finish();
}
