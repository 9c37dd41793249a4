import type { Attribute, Constant, Graph, GraphNode, ValueInfo } from './graph.ts';
import { graphSections, sectionSignature, type GraphSection } from './graph-sections.ts';
import { isSymbolic, sizeName } from './symbolic-sizes.ts';

export interface DumpOptions {
  /** Layers that compute what an earlier one does are written out, too. Default false. */
  readonly everyLayer?: boolean;
}

/** Constants of up to so many elements are written as numbers, larger ones by their names. */
const LITERAL_SIZE = 8;

/**
 * A decoder's graph as text: what goes in and out, then a line for each operator in order, by layers.
 *
 *     v38 [tokens, 24], v39 [tokens, 1] = SimplifiedLayerNormalization(v37, model.layers.0.input_layernorm.weight) axis=-1
 *
 * Types are left out where they are float32; sizes of a batch have names.
 */
export function dumpGraph(graph: Graph, { everyLayer = false }: DumpOptions = {}): string {
  const constants = new Map(graph.constants.map((constant) => [constant.name, constant]));
  const groups = everyLayer
    ? graphSections(graph).map((section) => ({ section, like: null }))
    : withoutRepetition(graph);
  const parts = groups.map(({ section, like }) => {
    const title = `${titleOf(section)}: ${section.nodes.length} ${section.nodes.length === 1 ? 'operator' : 'operators'}`;
    if (like !== null) return `${title}, as ${titleOf(like)}`;
    return [title, ...section.nodes.map((node) => `  ${nodeLine(node, { values: graph.values, constants })}`)].join(
      '\n',
    );
  });
  return [inputLines(graph), ...parts].join('\n\n') + '\n';
}

/** How many nodes a graph has of each operator, most frequent first. */
export function countOperators({ nodes }: Graph): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { op } of nodes) counts.set(op, (counts.get(op) ?? 0) + 1);
  return new Map([...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)));
}

/** A value's shape as text: `[tokens, 576]`, `int32 [bins, binLength]`. */
export function shapeText({ shape, type }: Pick<ValueInfo, 'shape' | 'type'>): string {
  const sizes = `[${shape.map(sizeText).join(', ')}]`;
  return type === 'float32' ? sizes : `${type} ${sizes}`;
}

/** A size of a batch has a name. */
export function sizeText(size: number): string {
  return isSymbolic(size) ? sizeName(size) : String(size);
}

/** Each section with the earlier one that it repeats, if it does. */
function withoutRepetition(graph: Graph): { section: GraphSection; like: GraphSection | null }[] {
  const first = new Map<string, GraphSection>();
  return graphSections(graph).map((section) => {
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

/** The batch's inputs; of weights and factors only how many. */
function inputLines({ inputs }: Graph): string {
  const data = inputs.filter(({ name }) => !/^(?:model|lm_head)\./.test(name));
  const title = `inputs: ${inputs.length - data.length} weights and factors, and`;
  return [title, ...data.map((input) => `  ${input.name} ${shapeText(input)}`)].join('\n');
}

interface Context {
  readonly values: Graph['values'];
  readonly constants: ReadonlyMap<string, Constant>;
}

function nodeLine({ op, inputs, outputs, attributes }: GraphNode, { values, constants }: Context): string {
  const results = resultsText(outputs.map((name) => values.get(name)!));
  const operands = inputs.map((name) => literal(constants.get(name)) ?? name).join(', ');
  const settings = Object.entries(attributes).map(([name, value]) => ` ${name}=${attributeText(value)}`);
  return `${results} = ${op}(${operands})${settings.join('')}`;
}

/** Several of one shape are written as the first and the last: a Split has as many as there are adapted modules. */
function resultsText(results: readonly ValueInfo[]): string {
  const [first, ...others] = results as [ValueInfo, ...ValueInfo[]];
  const alike = others.length > 2 && others.every((other) => shapeText(other) === shapeText(first));
  if (alike) return `${first.name} … ${others.at(-1)!.name} (${results.length} × ${shapeText(first)})`;
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
