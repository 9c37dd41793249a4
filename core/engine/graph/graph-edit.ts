import type { Attribute, Constant, ConstantData, Graph, GraphNode, ValueInfo } from './graph.ts';
import { producersOf } from './passes/dataflow.ts';

/** An operator to be added; its outputs are new values, or take over values of the original graph by name. */
export interface AddedNode {
  readonly op: string;
  readonly domain?: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly (string | Omit<ValueInfo, 'name'>)[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

/** A graph that a pass takes apart and puts together again; the original stays as it is. */
export class GraphEdit {
  readonly graph: Graph;
  readonly #inputs: ValueInfo[];
  readonly #constants: Constant[];
  readonly #values: Map<string, ValueInfo>;
  readonly #added: GraphNode[] = [];
  readonly #removed = new Set<GraphNode>();
  readonly #shared = new Map<string, string>();
  #names = 0;
  readonly #prefix: string;

  /** @param prefix of the names of new values, which no other pass uses */
  constructor(graph: Graph, prefix: string) {
    this.graph = graph;
    this.#prefix = prefix;
    this.#inputs = [...graph.inputs];
    this.#constants = [...graph.constants];
    this.#values = new Map(graph.values);
  }

  get values(): ReadonlyMap<string, ValueInfo> {
    return this.#values;
  }

  remove(node: GraphNode): void {
    this.#removed.add(node);
  }

  isRemoved(node: GraphNode): boolean {
    return this.#removed.has(node);
  }

  /** @returns the names of the outputs */
  add({ op, domain = '', inputs, outputs, attributes = {} }: AddedNode): string[] {
    const names = outputs.map((output) => (typeof output === 'string' ? output : this.#declare(output)));
    this.#added.push({ op, domain, inputs, outputs: names, attributes });
    return names;
  }

  /** A value under a name of its own, which a node then has among its outputs. */
  declare(info: ValueInfo): string {
    this.#values.set(info.name, info);
    return info.name;
  }

  /** A new input of the graph, or the one that has been added under that name. */
  input(info: ValueInfo): string {
    if (!this.#values.has(info.name)) this.#inputs.push(info);
    this.#values.set(info.name, info);
    return info.name;
  }

  integers(values: readonly number[]): string {
    return this.#constant({ shape: [values.length], type: 'int64' }, BigInt64Array.from(values, BigInt));
  }

  /** A single number. */
  scalar(value: number, type: 'float32' | 'uint8' = 'float32'): string {
    return this.#constant({ shape: [], type }, type === 'uint8' ? Uint8Array.of(value) : Float32Array.of(value));
  }

  #constant(info: Omit<ValueInfo, 'name'>, data: ConstantData): string {
    const key = `${info.type} ${info.shape.join()}: ${data.join()}`;
    const known = this.#shared.get(key);
    if (known) return known;
    const constant = { ...info, name: this.#declare(info), data };
    this.#constants.push(constant);
    this.#shared.set(key, constant.name);
    return constant.name;
  }

  /** The graph with the changes, its nodes in an order in which every operand comes before its use. */
  finish(): Graph {
    if (this.#added.length === 0 && this.#removed.size === 0) return this.graph;
    const nodes = [...this.graph.nodes.filter((node) => !this.#removed.has(node)), ...this.#added];
    return {
      ...this.graph,
      inputs: this.#inputs,
      nodes: sortNodes(nodes),
      constants: this.#constants,
      values: this.#values,
    };
  }

  #declare(info: Omit<ValueInfo, 'name'>): string {
    const name = `${this.#prefix}${this.#names++}`;
    this.#values.set(name, { ...info, name });
    return name;
  }
}

/**
 * Each node as early as the list has it and as late as its operands ask for.
 * @throws Error for nodes that need each other
 */
export function sortNodes(nodes: readonly GraphNode[]): GraphNode[] {
  const producers = producersOf(nodes);
  const sorted: GraphNode[] = [];
  const state = new Map<GraphNode, 'open' | 'done'>();
  const visit = (node: GraphNode): void => {
    if (state.get(node) === 'done') return;
    if (state.get(node) === 'open') throw new Error(`the graph's node ${node.outputs[0]} needs its own result`);
    state.set(node, 'open');
    for (const name of node.inputs) {
      const producer = producers.get(name);
      if (producer) visit(producer);
    }
    state.set(node, 'done');
    sorted.push(node);
  };
  for (const node of nodes) visit(node);
  return sorted;
}
