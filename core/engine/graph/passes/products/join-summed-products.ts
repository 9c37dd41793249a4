import { sameShape, type Graph, type GraphNode } from '../../graph.ts';
import { producersOf, useCounts } from '../dataflow.ts';
import { concatenated } from './fuse-sibling-products.ts';
import { GraphEdit } from '../../graph-edit.ts';
import { asProduct, isNarrow, NARROW, productSizes, shapeOf, type Product } from './products.ts';

/**
 * A sum of products with short inner dimensions becomes one product: u₁ A₁ + u₂ A₂ + u₃ A₃ = [u₁ u₂ u₃] [A₁; A₂; A₃], the
 * way of q, k and v back to their common input. The sum is written once instead of once a product.
 */
export function joinSummedProducts(graph: Graph): Graph {
  const edit = new GraphEdit(graph, 'joined');
  const positions = new Map(graph.nodes.map((node, index) => [node, index]));
  const context: Context = { graph, producers: producersOf(graph.nodes), uses: useCounts(graph), positions };
  for (const node of graph.nodes.toReversed()) {
    if (node.op === 'Add' && !edit.isRemoved(node)) rewriteSum(edit, node, context);
  }
  return edit.finish();
}

interface Context {
  readonly graph: Graph;
  readonly producers: ReadonlyMap<string, GraphNode>;
  readonly uses: ReadonlyMap<string, number>;
  readonly positions: ReadonlyMap<GraphNode, number>;
}

function rewriteSum(edit: GraphEdit, sum: GraphNode, context: Context): void {
  const inner: GraphNode[] = [];
  const addends = flatten(sum, context, inner);
  const { shape, type } = context.graph.values.get(sum.outputs[0]!)!;
  const whole = addends.filter((name) => sameShape(shapeOf(context.graph, name), shape));
  const products = inOrder(
    whole.flatMap((name) => shortProduct(name, context) ?? []),
    context,
  );
  const joined = products.length > 1 ? products.slice(0, joinable(context.graph, products)) : [];
  if (joined.length < 2) return;
  const results = new Set(joined.map(({ node }) => node.outputs[0]!));
  for (const node of [sum, ...inner, ...joined.map(({ node }) => node)]) edit.remove(node);
  const left = concatenated(
    edit,
    joined.map(({ a }) => a),
    joined[0]!.transA ? 0 : 1,
  );
  const right = concatenated(
    edit,
    joined.map(({ b }) => b),
    joined[0]!.transB ? 1 : 0,
  );
  const result = sum.outputs[0]!;
  const rest = addends.filter((name) => !results.has(name));
  const attributes = joined[0]!.node.attributes;
  const product = edit.add({
    op: 'Gemm',
    inputs: [left, right],
    outputs: [rest.length === 0 ? result : { shape, type }],
    attributes,
  });
  [...rest, product[0]!].reduce((a, b, index) => {
    const last = index === rest.length;
    return edit.add({ op: 'Add', inputs: [a, b], outputs: [last ? result : { shape, type }] })[0]!;
  });
}

/** What a tree of additions adds up, where no part of it has another use; `inner` gets the tree's other additions. */
function flatten(sum: GraphNode, context: Context, inner: GraphNode[]): string[] {
  const { graph, producers, uses } = context;
  const shape = graph.values.get(sum.outputs[0]!)!.shape;
  return sum.inputs.flatMap((name) => {
    const producer = producers.get(name);
    const part = producer?.op === 'Add' && uses.get(name) === 1 && sameShape(graph.values.get(name)!.shape, shape);
    if (!part) return [name];
    inner.push(producer);
    return flatten(producer, context, inner);
  });
}

/** As the graph has them: products that belong together are joined in one order everywhere, and share the joining. */
function inOrder(products: readonly Product[], { positions }: Context): Product[] {
  return products.toSorted((a, b) => positions.get(a.node)! - positions.get(b.node)!);
}

function shortProduct(name: string, { graph, producers, uses }: Context): Product | undefined {
  const product = uses.get(name) === 1 ? asProduct(producers.get(name)) : undefined;
  return product && isNarrow(productSizes(graph, product)[1]) ? product : undefined;
}

/** How many of the products, from the first, have their operands the same way round and stay narrow together. */
function joinable(graph: Graph, products: readonly Product[]): number {
  const [{ transA, transB }] = products as [Product];
  let width = 0;
  const end = products.findIndex((product) => {
    width += productSizes(graph, product)[1];
    return product.transA !== transA || product.transB !== transB || width > NARROW;
  });
  return end === -1 ? products.length : end;
}
