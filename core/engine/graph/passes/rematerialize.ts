import type { Graph, GraphNode } from '../graph.ts';
import { eliminateDeadNodes } from './eliminate-dead-nodes.ts';
import { betweenNarrowPlaces, repeatForward, withCopies } from './repeat-forward.ts';

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

export interface RematerializeOptions {
  /** What gradients compute again; see `ProgramSpec`. */
  readonly recompute: 'cheap' | 'scores' | 'layers';
}

/** Trades memory between the forward pass and the gradients for work, as far as is asked for. */
export function rematerialize(graph: Graph, { recompute }: RematerializeOptions = { recompute: 'cheap' }): Graph {
  if (recompute === 'cheap') return repeatCheap(graph);
  return repeatForward(graph, recompute === 'scores' ? { repeats: isCheapOrScore } : betweenNarrowPlaces(graph));
}

/** Operators between queries, keys and the probabilities of attention that is computed in blocks. */
const OF_SCORES: ReadonlySet<string> = new Set(['Concat', 'Slice', 'Softmax', 'Split']);

function isCheapOrScore({ op, attributes }: GraphNode): boolean {
  return CHEAP.has(op) || OF_SCORES.has(op) || (op === 'FusedMatMul' && attributes['transB'] === 1);
}

/**
 * Lets the gradients compute again what follows cheaply from values that are kept for them anyway: normalized rows from
 * the rows, the gated product from gate and up. This halves what waits in memory from the forward pass to the gradients
 * (Chen et al. 2016, Training deep nets with sublinear memory cost, at the grain of single operators).
 *
 * The forward pass is what the first output needs. A copy follows its original in the list: ONNX Runtime runs a node when
 * its result is asked for, and of two operands the one that is listed later first, so that copies run last.
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

/** The values of the forward pass that other nodes read. */
function readOutside(graph: Graph, forward: ReadonlySet<GraphNode>): Set<string> {
  return new Set(graph.nodes.filter((node) => !forward.has(node)).flatMap((node) => node.inputs));
}
