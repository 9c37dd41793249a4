import { producersOf, type Attribute, type Constant, type Graph, type GraphNode, type ValueInfo } from './graph.ts';
import { eliminateDeadNodes } from './passes/eliminate-dead-nodes.ts';

type Form = Omit<ValueInfo, 'name'>;

/** An operator with one output, to be added to a graph. */
export interface Operator {
  readonly op: string;
  readonly domain?: string;
  readonly inputs: readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  /**
   * Shape and type of the output if it is a new value. Otherwise the name of an existing value, which this operator
   * computes from now on.
   */
  readonly output: string | Form;
}

/**
 * Changes that one pass makes to a graph; the original graph is not modified. If an added node has an existing value as
 * an output, the node that computed the value before is removed, together with everything that no output of the graph
 * needs any more.
 */
export class GraphEdit {
  readonly #graph: Graph;
  readonly #prefix: string;
  readonly #inputs: Map<string, ValueInfo>;
  readonly #outputs: ValueInfo[];
  readonly #constants: Constant[];
  readonly #values: Map<string, ValueInfo>;
  readonly #added: GraphNode[] = [];
  readonly #placed = new Map<GraphNode, GraphNode[]>();
  readonly #shared = new Map<string, string>();
  #names = 0;

  /** @param prefix beginning of the names of new values; each pass has its own */
  constructor(graph: Graph, prefix = '') {
    this.#graph = graph;
    this.#prefix = prefix;
    this.#inputs = new Map(graph.inputs.map((input) => [input.name, input]));
    this.#outputs = [...graph.outputs];
    this.#constants = [...graph.constants];
    this.#values = new Map(graph.values);
  }

  /** Shapes and types of the graph's values and of those that the edit has added, by name. */
  get values(): ReadonlyMap<string, ValueInfo> {
    return this.#values;
  }

  /**
   * Adds an operator, like {@link put}.
   * @returns the name of its output
   */
  add({ op, domain = '', inputs, attributes = {}, output }: Operator, place?: GraphNode): string {
    const name = typeof output === 'string' ? output : this.#fresh(output);
    this.put({ op, domain, inputs, outputs: [name], attributes }, place);
    return name;
  }

  /**
   * Adds a node. Each of its outputs is an existing value of the graph, which it computes from now on, or one that
   * {@link declare} has added.
   * @param place node of the graph that the new one replaces or follows; default: directly before its first use
   */
  put(node: GraphNode, place?: GraphNode): void {
    if (!place) this.#added.push(node);
    else this.#placed.set(place, [...(this.#placed.get(place) ?? []), node]);
  }

  /** Replaces some of the operands of a node by other values. */
  substitute(node: GraphNode, values: ReadonlyMap<string, string>): void {
    if (!node.inputs.some((name) => values.has(name))) return;
    this.put({ ...node, inputs: node.inputs.map((name) => values.get(name) ?? name) }, node);
  }

  /** Adds a value to the graph under the name in `info`, and returns this name. */
  declare(info: ValueInfo): string {
    this.#values.set(info.name, info);
    return info.name;
  }

  /** Adds an input to the graph. Adding an input of the same name again has no effect. */
  input(info: ValueInfo): string {
    this.#inputs.set(info.name, info);
    return this.declare(info);
  }

  output(info: ValueInfo): string {
    this.#outputs.push(info);
    return this.declare(info);
  }

  /** Adds a constant under its own name, and removes the input of that name if there is one. Its data is not copied. */
  constant(constant: Constant): string {
    this.#inputs.delete(constant.name);
    this.#constants.push(constant);
    return this.declare(constant);
  }

  /** Adds a one-dimensional int64 constant; equal constants are shared. */
  integers(values: readonly number[]): string {
    return this.#sharedConstant({ shape: [values.length], type: 'int64' }, BigInt64Array.from(values, BigInt));
  }

  /** Adds a constant of a single number; equal constants are shared. */
  scalar(value: number, type: 'float32' | 'int8' | 'uint8' = 'float32'): string {
    const ArrayType = { float32: Float32Array, int8: Int8Array, uint8: Uint8Array }[type];
    return this.#sharedConstant({ shape: [], type }, ArrayType.of(value));
  }

  /** Returns the changed graph without dead nodes and with every operand before its use. */
  finish(): Graph {
    const taken = new Set([...this.#placed.values(), this.#added].flat().flatMap(({ outputs }) => outputs));
    const nodes: GraphNode[] = [];
    for (const node of this.#graph.nodes) {
      if (!node.outputs.some((name) => taken.has(name))) nodes.push(node);
      nodes.push(...(this.#placed.get(node) ?? []));
    }
    return eliminateDeadNodes({
      inputs: [...this.#inputs.values()],
      outputs: this.#outputs,
      constants: this.#constants,
      nodes: this.#added.length === 0 ? nodes : sortNodes([...nodes, ...this.#added]),
      values: this.#values,
    });
  }

  #sharedConstant(form: Form, data: BigInt64Array | Float32Array | Int8Array | Uint8Array): string {
    const key = `${form.type} ${form.shape.join()}: ${data.join()}`;
    const name = this.#shared.get(key) ?? this.constant({ ...form, name: this.#fresh(form), data });
    this.#shared.set(key, name);
    return name;
  }

  #fresh(form: Form): string {
    return this.declare({ ...form, name: `${this.#prefix}${this.#names++}` });
  }
}

/**
 * Sorts nodes topologically: each keeps its place in the list, unless an earlier node needs it.
 * @throws Error if nodes depend on each other
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
