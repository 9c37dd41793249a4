import { mapNonEmpty, producersOf, sameShape, useCounts, valueOf, type Graph, type GraphNode } from '../../graph.ts';
import { GraphEdit } from '../../graph-edit.ts';
import { asProduct, concatenate, isNarrow, NARROW, productSizes, type Product } from './products.ts';

/**
 * Combines a sum of products with short inner dimensions into one: u₁ A₁ + u₂ A₂ + u₃ A₃ = [u₁ u₂ u₃] [A₁; A₂; A₃], as
 * in the gradient of the common input of q, k and v. The sum is written once rather than once for each product.
 */
export function joinSummedProducts(graph: Graph): Graph {
  const positions = new Map(graph.nodes.map((node, index) => [node, index]));
  const edit = new GraphEdit(graph, 'joined');
  const context: Context = { graph, producers: producersOf(graph.nodes), uses: useCounts(graph), positions };
  const rewritten = new Set<GraphNode>();
  for (const node of graph.nodes.toReversed()) {
    if (node.op === 'Add' && !rewritten.has(node))
      for (const part of rewriteSum(edit, node, context)) rewritten.add(part);
  }
  return edit.finish();
}

interface Context {
  readonly graph: Graph;
  readonly producers: ReadonlyMap<string, GraphNode>;
  readonly uses: ReadonlyMap<string, number>;
  readonly positions: ReadonlyMap<GraphNode, number>;
}

/**
 * Joins the products among the addends of a sum into one product, where possible.
 * @returns the additions inside the sum that are no longer needed; none if the sum is unchanged
 */
function rewriteSum(edit: GraphEdit, sum: GraphNode, context: Context): GraphNode[] {
  const { graph } = context;
  const { addends, inner } = flatten(sum, context);
  const [result] = sum.outputs;
  const { shape, type } = valueOf(graph, result);
  const whole = addends.filter((name) => sameShape(valueOf(graph, name).shape, shape));
  const products = inOrder(
    whole.flatMap((name) => shortProduct(name, context) ?? []),
    context,
  );
  const [first, ...others] = joinable(graph, products);
  if (!first || others.length === 0) return [];
  const joined = [first, ...others] as const;
  const left = concatenate(
    edit,
    mapNonEmpty(joined, ({ a }) => a),
    first.transA ? 0 : 1,
  );
  const right = concatenate(
    edit,
    mapNonEmpty(joined, ({ b }) => b),
    first.transB ? 1 : 0,
  );
  const results = new Set(joined.map(({ node }) => node.outputs[0]));
  const rest = addends.filter((name) => !results.has(name));
  const output = (last: boolean) => (last ? result : { shape, type });
  const product = edit.add({ ...first.node, inputs: [left, right], output: output(rest.length === 0) });
  [...rest, product].reduce((a, b, index) =>
    edit.add({ op: 'Add', inputs: [a, b], output: output(index === rest.length) }),
  );
  return inner;
}

/**
 * Flattens a tree of additions into its addends, as far as no inner sum has another use. Also returns the additions
 * below the root.
 */
function flatten(sum: GraphNode, context: Context): { addends: string[]; inner: GraphNode[] } {
  const { graph, producers, uses } = context;
  const { shape } = valueOf(graph, sum.outputs[0]);
  const parts = sum.inputs.map((name) => {
    const producer = producers.get(name);
    const isPart = producer?.op === 'Add' && uses.get(name) === 1 && sameShape(valueOf(graph, name).shape, shape);
    if (!isPart) return { addends: [name], inner: [] };
    const { addends, inner } = flatten(producer, context);
    return { addends, inner: [producer, ...inner] };
  });
  return { addends: parts.flatMap(({ addends }) => addends), inner: parts.flatMap(({ inner }) => inner) };
}

/** Sorts products in the graph's order, so that equal sets of operands are joined in one order and share the Concat. */
function inOrder(products: readonly Product[], { positions }: Context): Product[] {
  return products.toSorted((a, b) => (positions.get(a.node) ?? 0) - (positions.get(b.node) ?? 0));
}

function shortProduct(name: string, { graph, producers, uses }: Context): Product | undefined {
  const product = uses.get(name) === 1 ? asProduct(producers.get(name)) : undefined;
  return product && isNarrow(productSizes(graph, product)[1]) ? product : undefined;
}

/**
 * Takes products from the beginning of a list as long as their operands are transposed in the same way and the joined
 * inner dimension stays narrow.
 */
function joinable(graph: Graph, products: readonly Product[]): readonly Product[] {
  let width = 0;
  const end = products.findIndex((product) => {
    width += productSizes(graph, product)[1];
    return product.transA !== products[0]?.transA || product.transB !== products[0].transB || width > NARROW;
  });
  return end === -1 ? products : products.slice(0, end);
}
