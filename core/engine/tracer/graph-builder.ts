import { factorsOf, isSymbolic } from '../graph/symbolic-sizes.ts';
import {
  mapNonEmpty,
  valueOf,
  type Attribute,
  type Constant,
  type ConstantData,
  type ElementType,
  type Graph,
  type GraphNode,
  type NonEmpty,
  type ValueInfo,
} from '../graph/graph.ts';

/** Largest size of a constant that is shared with equal ones; comparing larger ones would cost more than it saves. */
const SHARED_CONSTANT_SIZE = 64;

export interface NodeSpec {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: NonEmpty<Omit<ValueInfo, 'name'>>;
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly domain?: string;
}

/**
 * Builder of a graph during tracing. Equal nodes over equal inputs (common subexpressions) are recorded once and share
 * their names, so equal subexpressions of any size have equal keys.
 */
export class GraphBuilder {
  readonly #nodes: GraphNode[] = [];
  readonly #constants: Constant[] = [];
  readonly #inputs: ValueInfo[] = [];
  readonly #outputs: ValueInfo[] = [];
  readonly #values = new Map<string, ValueInfo>();
  readonly #producers = new Map<string, GraphNode>();
  readonly #nodesByKey = new Map<string, NonEmpty<string>>();
  readonly #constantsByKey = new Map<string, string>();
  #names = 0;

  input(value: ValueInfo): void {
    this.#inputs.push(value);
    this.#values.set(value.name, value);
  }

  /** Declares a value as the graph's output of the given name. */
  output(name: string, value: string): void {
    const { shape, type } = this.value(value);
    const info = { name, shape, type };
    this.#append({ op: 'Identity', domain: '', inputs: [value], outputs: [name], attributes: {} }, [info]);
    this.#outputs.push(info);
  }

  constant(type: ElementType, shape: readonly number[], data: ConstantData): string {
    const key = data.length <= SHARED_CONSTANT_SIZE ? `${type}[${shape.join()}]${data.join()}` : null;
    const known = key === null ? undefined : this.#constantsByKey.get(key);
    if (known !== undefined) return known;
    const constant = { name: this.#freshName(), type, shape, data };
    this.#constants.push(constant);
    this.#values.set(constant.name, constant);
    if (key !== null) this.#constantsByKey.set(key, constant.name);
    return constant.name;
  }

  /** Adds a one-dimensional int64 constant, such as axes, a shape or offsets. */
  integers(values: readonly number[]): string {
    return this.constant('int64', [values.length], BigInt64Array.from(values, BigInt));
  }

  /**
   * Adds a shape as an int64 operand of an operator such as Reshape. Returns the operand's name. Symbolic sizes are
   * read from the graph's inputs at run time.
   * @param from shape of a Reshape's input; a Reshape itself can keep a size that stays in its place, and infer one
   * other size
   */
  shape(shape: readonly number[], from?: readonly number[]): string {
    if (!shape.some(isSymbolic)) return this.integers(shape);
    const known = from && staticShape(shape, from);
    if (known) return this.integers(known);
    const parts = shape.map((size) => (isSymbolic(size) ? this.#readSize(size) : this.integers([size])));
    const outputs = [{ shape: [shape.length], type: 'int64' }] as const;
    return this.node({ op: 'Concat', inputs: parts, outputs, attributes: { axis: 0 } })[0];
  }

  /**
   * Computes a symbolic size at run time from the shapes of the graph's inputs. Returns the name of the value, [1]
   * int64.
   */
  #readSize(size: number): string {
    const { symbols, rest } = factorsOf(size);
    const outputs = [{ shape: [1], type: 'int64' }] as const;
    const sizes = symbols.map(({ name, symbol }) => {
      const input = this.#inputs.find(({ shape }) => shape.includes(symbol));
      if (!input) throw new Error(`no input of the traced program has the size ${name}, which its operators need`);
      const start = input.shape.indexOf(symbol);
      return this.node({ op: 'Shape', inputs: [input.name], outputs, attributes: { start, end: start + 1 } })[0];
    });
    const factors = rest === 1 ? sizes : [...sizes, this.integers([rest])];
    return factors.reduce((a, b) => this.node({ op: 'Mul', inputs: [a, b], outputs })[0]);
  }

  /**
   * Records a node, unless an equal one exists.
   * @returns the names of its outputs
   */
  node(spec: NodeSpec): NonEmpty<string> {
    const { op, inputs, attributes = {}, domain = '' } = spec;
    const signature = spec.outputs.map(({ shape }) => shape.join()).join(';');
    const key = `${domain}:${op}|${inputs.join()}|${JSON.stringify(attributes)}|${signature}`;
    const known = this.#nodesByKey.get(key);
    if (known) return known;
    const infos = mapNonEmpty(spec.outputs, (output) => ({ ...output, name: this.#freshName() }));
    const outputs = mapNonEmpty(infos, ({ name }) => name);
    this.#append({ op, domain, inputs, outputs, attributes }, infos);
    this.#nodesByKey.set(key, outputs);
    return outputs;
  }

  value(name: string): ValueInfo {
    return valueOf({ values: this.#values }, name);
  }

  /** Returns the node that computes a value, or undefined for an input or constant. */
  producer(name: string): GraphNode | undefined {
    return this.#producers.get(name);
  }

  build(): Graph {
    return {
      inputs: this.#inputs,
      outputs: this.#outputs,
      constants: this.#constants,
      nodes: this.#nodes,
      values: this.#values,
    };
  }

  #append(node: GraphNode, infos: readonly ValueInfo[]): void {
    this.#nodes.push(node);
    for (const info of infos) {
      this.#values.set(info.name, info);
      this.#producers.set(info.name, node);
    }
  }

  #freshName(): string {
    return `v${this.#names++}`;
  }
}

/**
 * Encodes the target shape of a Reshape with 0 for a symbolic size that keeps its place and −1 for one that is
 * inferred. Returns null if more than one would have to be inferred.
 */
function staticShape(shape: readonly number[], from: readonly number[]): number[] | null {
  const sizes = shape.map((size, axis) => (!isSymbolic(size) ? size : size === from[axis] ? 0 : -1));
  return sizes.filter((size) => size === -1).length <= 1 ? sizes : null;
}
