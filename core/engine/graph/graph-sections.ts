import type { Graph, GraphNode } from './graph.ts';

/**
 * Place of a section in the decoder: the number of its layer, `before` or `after` all layers, or `outputs` for nodes
 * that compute outputs of the graph.
 */
type SectionPlace = number | 'before' | 'after' | 'outputs';

export interface GraphSection {
  readonly place: SectionPlace;
  /**
   * Whether the section belongs to the backward pass, which begins at the first node that depends on the seed of the
   * gradients.
   */
  readonly backward: boolean;
  readonly nodes: readonly GraphNode[];
}

/**
 * Pattern of names that begin with a layer's number: its weights, its factors and values that passes have derived from
 * them.
 */
const OF_LAYER = /^model\.layers\.(\d+)\./;

/** Pattern of the names of weights outside layers: embedding, last norm and head. */
const OF_MODEL = /^(?:model|lm_head)\./;

/** Name of the graph's input that scales all gradients. The nodes that depend on it form the backward pass. */
const SEED = 'gradient_scale';

/**
 * Divides a decoder's graph by layers, for display. Nodes are recorded layer by layer, so a node that reads a layer's
 * weights begins that layer, and the following ones belong to it. Sections are in the order of their first nodes, and
 * nodes keep their order.
 */
export function graphSections(graph: Graph): GraphSection[] {
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  const sections = new Map<string, GraphSection & { readonly nodes: GraphNode[] }>();
  const seeded = new Set([SEED]);
  let place: SectionPlace = 'before';
  let backward = false;
  for (const node of graph.nodes) {
    if (node.inputs.some((name) => seeded.has(name))) {
      for (const name of node.outputs) seeded.add(name);
      backward = true;
    }
    place = placeOf(node, place);
    const section = outputs.has(node.outputs[0]) ? { place: 'outputs' as const, backward: false } : { place, backward };
    const key = `${section.place}${section.backward}`;
    const known = sections.get(key) ?? { ...section, nodes: [] };
    known.nodes.push(node);
    sections.set(key, known);
  }
  return [...sections.values()];
}

function placeOf(node: GraphNode, current: SectionPlace): SectionPlace {
  const layer = node.inputs.map((name) => OF_LAYER.exec(name)?.[1]).find((found) => found !== undefined);
  if (layer !== undefined) return Number(layer);
  return current !== 'before' && node.inputs.some((name) => OF_MODEL.test(name)) ? 'after' : current;
}

/**
 * Makes a text by which sections are compared. It is equal for sections that apply the same operators and attributes to
 * the same shapes, and to weights of the same names within a layer.
 */
export function sectionSignature({ backward, nodes }: GraphSection, { values }: Graph): string {
  const parts = nodes.map(({ op, domain, inputs, outputs, attributes }) => {
    const weights = inputs.map((name) =>
      OF_LAYER.test(name) ? name.replace(OF_LAYER, '') : (values.get(name)?.shape ?? []),
    );
    return [op, domain, attributes, weights, outputs.map((name) => values.get(name)?.shape ?? [])];
  });
  return JSON.stringify([backward, parts]);
}
