import type { Graph, GraphNode } from './graph.ts';

/** Place of a section: a layer, before or after all layers, or the nodes that name outputs. */
type SectionPlace = number | 'before' | 'after' | 'outputs';

export interface GraphSection {
  readonly place: SectionPlace;
  /** Whether the section comes after the first node that depends on the seed of the gradients. */
  readonly backward: boolean;
  readonly nodes: readonly GraphNode[];
}

/** Matches a weight or factor of a layer, and values that a pass has derived from one. */
const OF_LAYER = /^model\.layers\.(\d+)\./;

/** Matches weights outside layers: embedding, last norm, head. */
const OF_MODEL = /^(?:model|lm_head)\./;

/** Input that all gradients are multiplied by. */
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
 * Signature of a section; equal for layers that apply the same operators to the same shapes and to weights of the same
 * names.
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
