import type { Graph, GraphNode } from '../graph.ts';
import { eliminateDeadNodes } from './eliminate-dead-nodes.ts';
import { betweenCheckpoints, repeatForward, withCopies } from './repeat-forward.ts';

/** Operators that are cheap compared with matrix products, so that the backward pass may recompute their results. */
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

export interface RematerializeOptions {
  /** Extent of the recomputation: `cheap`, `scores` or `layers`, as `Recompute` explains them. */
  readonly recompute: 'cheap' | 'scores' | 'layers';
}

/**
 * Makes the backward pass recompute values of the forward pass that would otherwise stay in memory until they are
 * needed.
 */
export function rematerialize(graph: Graph, { recompute }: RematerializeOptions = { recompute: 'cheap' }): Graph {
  if (recompute === 'cheap') return repeatCheap(graph);
  return repeatForward(graph, recompute === 'scores' ? { repeats: isCheapOrScore } : betweenCheckpoints(graph));
}

/**
 * Further operators that are recomputed for `scores`: those between queries, keys and attention probabilities when
 * attention is computed in blocks.
 */
const OF_SCORES: ReadonlySet<string> = new Set(['Concat', 'Slice', 'Softmax', 'Split']);

function isCheapOrScore({ op, attributes }: GraphNode): boolean {
  return CHEAP.has(op) || OF_SCORES.has(op) || (op === 'FusedMatMul' && attributes['transB'] === 1);
}

/**
 * Makes the backward pass recompute values that follow cheaply from values that are kept anyway, such as normalized
 * rows from the rows, or the gated product from gate and up. This halves the memory held from the forward pass to the
 * backward pass (Chen et al. 2016, Training deep nets with sublinear memory cost, for single operators).
 *
 * The forward pass consists of the nodes that the first output needs. Each copy follows its original in the list of
 * nodes: ONNX Runtime runs a node when its result is needed and, of the nodes for two operands, first the one that is
 * listed later, so that copies run last.
 */
function repeatCheap(graph: Graph): Graph {
  const forward = new Set(eliminateDeadNodes({ ...graph, outputs: graph.outputs.slice(0, 1) }).nodes);
  const kept = readOutside(graph, forward);
  const given = new Set([...graph.inputs, ...graph.constants].map(({ name }) => name));
  return withCopies(
    graph,
    forward,
    (node, copies) =>
      CHEAP.has(node.op) &&
      node.inputs.every((name) => given.has(name) || kept.has(name) || copies.has(name)) &&
      node.outputs.some((name) => kept.has(name)),
  );
}

/** Names of the values that nodes outside the forward pass, such as those of the gradients, read. */
function readOutside(graph: Graph, forward: ReadonlySet<GraphNode>): Set<string> {
  return new Set(graph.nodes.filter((node) => !forward.has(node)).flatMap((node) => node.inputs));
}
