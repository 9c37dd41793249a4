import { valueOf, type Attribute, type Constant, type Graph, type GraphNode, type ValueInfo } from './graph.ts';
import { graphSections, sectionSignature, type GraphSection } from './graph-sections.ts';
import { isSymbolic, sizeName } from './symbolic-sizes.ts';

export interface DumpOptions {
  /** Whether layers that repeat an earlier layer are written out in full. Default false. */
  readonly everyLayer?: boolean;
}

/** Largest size of a constant that is written as numbers; larger ones are written by name. */
const LITERAL_SIZE = 8;

/**
 * Writes a decoder's graph as text: its inputs, then a line for each operator in order, by layers.
 *
 *     v38 [tokens, 24], v39 [tokens, 1] =
 *       SimplifiedLayerNormalization(v37, model.layers.0.input_layernorm.weight) axis=-1
 *
 * The type float32 is left out, and a batch's sizes have names.
 */
export function dumpGraph(graph: Graph, { everyLayer = false }: DumpOptions = {}): string {
  const constants = new Map(graph.constants.map((constant) => [constant.name, constant]));
  const sections = graphSections(graph);
  const groups = everyLayer ? sections.map((section) => ({ section, like: null })) : withoutRepetition(sections, graph);
  const parts = groups.map(({ section, like }) => {
    const count = section.nodes.length;
    const title = `${titleOf(section)}: ${count} ${count === 1 ? 'operator' : 'operators'}`;
    if (like !== null) return `${title}, as ${titleOf(like)}`;
    return [title, ...section.nodes.map((node) => `  ${nodeLine(node, graph, constants)}`)].join('\n');
  });
  return [inputLines(graph), ...parts].join('\n\n') + '\n';
}

/** Counts a graph's nodes by operator, most frequent first. */
export function countOperators({ nodes }: Graph): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { op } of nodes) counts.set(op, (counts.get(op) ?? 0) + 1);
  return new Map([...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)));
}

/** Formats a value's shape: `[tokens, 576]`, `int32 [bins, binLength]`. */
function shapeText({ shape, type }: Pick<ValueInfo, 'shape' | 'type'>): string {
  const sizes = `[${shape.map(sizeText).join(', ')}]`;
  return type === 'float32' ? sizes : `${type} ${sizes}`;
}

/** Formats a size: a symbolic one by its name, any other as a number. */
export function sizeText(size: number): string {
  return isSymbolic(size) ? sizeName(size) : String(size);
}

/** Finds, for each section of the graph, the earlier section that it repeats; sections with new content have none. */
function withoutRepetition(
  sections: readonly GraphSection[],
  graph: Graph,
): { section: GraphSection; like: GraphSection | null }[] {
  const first = new Map<string, GraphSection>();
  return sections.map((section) => {
    const signature = sectionSignature(section, graph);
    const like = first.get(signature) ?? null;
    if (!like) first.set(signature, section);
    return { section, like };
  });
}

function titleOf({ place, backward }: GraphSection): string {
  const name =
    typeof place === 'number'
      ? `layer ${place}`
      : { before: 'before the layers', after: 'after the layers', outputs: 'outputs' }[place];
  return backward ? `${name}, backward` : name;
}

/** Lists the inputs that depend on the batch, and counts the base's weights and the adapter's factors. */
function inputLines({ inputs }: Graph): string {
  const data = inputs.filter(({ name }) => !/^(?:model|lm_head)\./.test(name));
  const title = `inputs: ${inputs.length - data.length} weights and factors, and`;
  return [title, ...data.map((input) => `  ${input.name} ${shapeText(input)}`)].join('\n');
}

function nodeLine(
  { op, inputs, outputs, attributes }: GraphNode,
  graph: Graph,
  constants: ReadonlyMap<string, Constant>,
): string {
  const results = resultsText(outputs.map((name) => valueOf(graph, name)));
  const operands = inputs.map((name) => literal(constants.get(name)) ?? name).join(', ');
  const settings = Object.entries(attributes).map(([name, value]) => ` ${name}=${attributeText(value)}`);
  return `${results} = ${op}(${operands})${settings.join('')}`;
}

/**
 * Formats an operator's results; more than three of one shape are shortened to the first and the last. A Split has one
 * result for each adapted module.
 */
function resultsText(results: readonly ValueInfo[]): string {
  const shapes = new Set(results.map(shapeText));
  const [first, last] = [results.at(0), results.at(-1)];
  if (first && last && results.length > 3 && shapes.size === 1) {
    return `${first.name} … ${last.name} (${results.length} × ${shapeText(first)})`;
  }
  return results.map((result) => `${result.name} ${shapeText(result)}`).join(', ');
}

function literal(constant: Constant | undefined): string | null {
  if (!constant || constant.type === 'float16' || constant.data.length > LITERAL_SIZE) return null;
  const data: ArrayLike<number | bigint> = constant.data;
  const numbers = Array.from(data, (value) => String(typeof value === 'bigint' ? value : Number(value.toPrecision(7))));
  return constant.shape.length === 0 ? numbers.join() : `[${numbers.join(', ')}]`;
}

function attributeText(value: Attribute): string {
  if (typeof value === 'object') return 'float' in value ? String(value.float) : `[${value.join(', ')}]`;
  return String(value);
}
