import { elementCount, valueOf, type Graph, type GraphNode } from './graph.ts';

/** Size of a float32 in bytes. */
const FLOAT = 4;

/**
 * Cuts a graph into stages that run one after another. A new stage begins when the weights that the current one reads
 * would otherwise exceed `maxBytes`. A stage's inputs are the graph's inputs that it reads and values from earlier
 * stages; its outputs are the values that later stages read, and outputs of the graph.
 * @param isWeight whether an input of the graph is a weight
 * @param maxBytes largest size of a stage's weights in bytes; the weights of a single node may exceed it
 */
export function cutGraph(graph: Graph, isWeight: (name: string) => boolean, maxBytes: number): Graph[] {
  const weights = new Set(graph.inputs.map(({ name }) => name).filter(isWeight));
  const stages: GraphNode[][] = [];
  let read = new Map<string, number>();
  for (const node of graph.nodes) {
    const own = node.inputs.filter((name) => weights.has(name));
    const added = own.map((name) => [name, FLOAT * elementCount(valueOf(graph, name).shape)] as const);
    const next = new Map([...read, ...added]);
    const isOver = total(next) > maxBytes && read.size > 0;
    if (isOver || stages.length === 0) stages.push([]);
    read = isOver ? new Map(added) : next;
    stages.at(-1)!.push(node);
  }
  return stages.map((nodes, index) => stageOf(graph, nodes, stages.slice(index + 1).flat()));
}

function total(sizes: ReadonlyMap<string, number>): number {
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}

function stageOf(graph: Graph, nodes: readonly GraphNode[], later: readonly GraphNode[]): Graph {
  const made = new Set(nodes.flatMap(({ outputs }) => outputs));
  const read = new Set(nodes.flatMap(({ inputs }) => inputs).filter((name) => name !== ''));
  const constants = graph.constants.filter(({ name }) => read.has(name));
  const constant = new Set(constants.map(({ name }) => name));
  const wanted = new Set([...later.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ name }) => name)]);
  return {
    inputs: [...read].filter((name) => !made.has(name) && !constant.has(name)).map((name) => valueOf(graph, name)),
    outputs: [...made].filter((name) => wanted.has(name)).map((name) => valueOf(graph, name)),
    constants,
    nodes,
    values: graph.values,
  };
}
