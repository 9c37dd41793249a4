import { mapNonEmpty, valueOf, type Graph, type GraphNode } from '../graph.ts';
import { GraphEdit } from '../graph-edit.ts';
import { eliminateDeadNodes } from './eliminate-dead-nodes.ts';

/**
 * Names of the inputs that differ from call to call and on which the hidden states depend: token ids and dropout's
 * random numbers.
 */
const [TOKENS, DROPOUT] = ['input_ids', 'dropout_tokens'] as const;

export interface RepeatOptions {
  /** Function that tells whether the backward pass may compute a node's outputs again. */
  readonly repeats: (node: GraphNode) => boolean;
  /**
   * Values to keep for the recomputation. Default: only those that the gradients read and that cannot be recomputed.
   */
  readonly keeps?: ReadonlySet<string>;
}

/**
 * Makes the backward pass recompute the values of the forward pass that it needs and that follow from kept values (Chen
 * et al. 2016, Training deep nets with sublinear memory cost). Values that depend on neither tokens nor dropout, such
 * as masks and rotary tables, are kept. Copies of nodes follow their originals, so that they run when their results are
 * needed; see `rematerialize`.
 */
export function repeatForward(graph: Graph, { repeats, keeps }: RepeatOptions): Graph {
  const forward = forwardNodes(graph);
  const varying = new Set([...dependents(forward, TOKENS), ...dependents(forward, DROPOUT)]);
  const candidates = forward.filter((node) => node.outputs.some((name) => varying.has(name)) && repeats(node));
  const inForward = new Set(forward);
  const outside = graph.nodes.filter((node) => !inForward.has(node));
  const repeated = needed(
    repeatable(graph, { forward, candidates, varying, outside, keeps }),
    outside.flatMap(({ inputs }) => inputs),
  );
  return withCopies(graph, inForward, (node) => repeated.has(node));
}

/**
 * Adds a copy after each node of the forward pass that is recomputed, and makes all nodes outside the forward pass read
 * the copies.
 * @param isRepeated tells whether a node is recomputed; called in the graph's order, with the copies made so far
 */
export function withCopies(
  graph: Graph,
  forward: ReadonlySet<GraphNode>,
  isRepeated: (node: GraphNode, copies: ReadonlyMap<string, string>) => boolean,
): Graph {
  const edit = new GraphEdit(graph);
  const copies = new Map<string, string>();
  const copyOf = (name: string): string => {
    const copy = edit.declare({ ...valueOf(graph, name), name: `${name}.again` });
    copies.set(name, copy);
    return copy;
  };
  for (const node of graph.nodes) {
    if (!forward.has(node)) edit.substitute(node, copies);
    else if (isRepeated(node, copies)) {
      const inputs = node.inputs.map((name) => copies.get(name) ?? name);
      edit.put({ ...node, inputs, outputs: mapNonEmpty(node.outputs, copyOf) }, node);
    }
  }
  return edit.finish();
}

/**
 * Chooses the recomputation that keeps only checkpoints and repeats everything between them. A checkpoint is a value
 * that all later values follow from: the embeddings, and the sums after each attention and each MLP. The part after the
 * last checkpoint is kept, because the gradients begin there.
 */
export function betweenCheckpoints(graph: Graph): RepeatOptions {
  const nodes = forwardNodes(graph);
  const narrow = bottlenecks(nodes, dependents(nodes, TOKENS));
  // Losses are bottlenecks too, but they are vectors.
  const cuts = new Set([...narrow].filter((name) => valueOf(graph, name).shape.length === 2));
  const last = nodes.findLastIndex(({ outputs }) => outputs.some((name) => cuts.has(name)));
  const segments = new Set(nodes.slice(0, Math.max(0, last)));
  return { repeats: (node) => segments.has(node) && !node.outputs.some((name) => cuts.has(name)), keeps: cuts };
}

/** Returns the nodes of the forward pass: those that the graph's first output, the loss, depends on. */
function forwardNodes(graph: Graph): readonly GraphNode[] {
  const forward = new Set(eliminateDeadNodes({ ...graph, outputs: graph.outputs.slice(0, 1) }).nodes);
  return graph.nodes.filter((node) => forward.has(node));
}

/** Names of the values that depend on an input of the graph. */
function dependents(nodes: readonly GraphNode[], input: string): Set<string> {
  const found = new Set([input]);
  for (const { inputs, outputs } of nodes) {
    if (inputs.some((name) => found.has(name))) for (const name of outputs) found.add(name);
  }
  found.delete(input);
  return found;
}

/**
 * Finds the bottlenecks in a list of nodes. A value is a bottleneck if, after some node has run, it is the only value
 * computed so far that later nodes still read.
 */
function bottlenecks(nodes: readonly GraphNode[], values: ReadonlySet<string>): Set<string> {
  const lastUses = new Map<string, number>();
  for (const [index, { inputs }] of nodes.entries()) for (const name of inputs) lastUses.set(name, index);
  const [live, narrow] = [new Set<string>(), new Set<string>()];
  for (const [index, { inputs, outputs }] of nodes.entries()) {
    for (const name of outputs) if (values.has(name) && lastUses.has(name)) live.add(name);
    for (const name of inputs) if (lastUses.get(name) === index) live.delete(name);
    const [only] = live;
    if (only !== undefined && live.size === 1) narrow.add(only);
  }
  return narrow;
}

interface Candidates {
  readonly forward: readonly GraphNode[];
  readonly candidates: readonly GraphNode[];
  readonly varying: ReadonlySet<string>;
  /** Nodes that do not belong to the forward pass: those of the gradients. */
  readonly outside: readonly GraphNode[];
  readonly keeps: ReadonlySet<string> | undefined;
}

/**
 * Selects the candidate nodes that can run again: each of their operands is kept for the gradients anyway or is itself
 * recomputed.
 */
function repeatable(graph: Graph, { forward, candidates, varying, outside, keeps }: Candidates): GraphNode[] {
  const read = new Set([...outside.flatMap(({ inputs }) => inputs), ...(keeps ?? [])]);
  const accepted = new Set(candidates);
  const available = new Set([...graph.inputs, ...graph.constants].map(({ name }) => name));
  return forward.filter((node) => {
    const repeats = accepted.has(node) && node.inputs.every((name) => available.has(name));
    for (const name of node.outputs) if (repeats || read.has(name) || !varying.has(name)) available.add(name);
    return repeats;
  });
}

/** Nodes that compute the named values, directly or through other nodes. */
function needed(nodes: readonly GraphNode[], names: readonly string[]): Set<GraphNode> {
  const wanted = new Set(names);
  const found = new Set<GraphNode>();
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((name) => wanted.has(name))) continue;
    found.add(node);
    for (const name of node.inputs) wanted.add(name);
  }
  return found;
}
