import type { Graph } from '../graph.ts';

/**
 * Inputs whose values are known become constants, which a session keeps on its device; an input would be sent there with
 * every run. Their data is not copied.
 */
export function bindConstants(graph: Graph, known: ReadonlyMap<string, Float32Array>): Graph {
  const bound = graph.inputs.flatMap((input) => {
    const data = known.get(input.name);
    return data ? [{ ...input, data }] : [];
  });
  return {
    ...graph,
    inputs: graph.inputs.filter(({ name }) => !known.has(name)),
    constants: [...graph.constants, ...bound],
  };
}
