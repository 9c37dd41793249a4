import Table from 'cli-table3';
import { countOperators, dumpGraph, sizeText } from '../../core/engine/graph/dump-graph.ts';
import { graphSections } from '../../core/engine/graph/graph-sections.ts';
import type { Graph, ValueInfo } from '../../core/engine/graph/graph.ts';
import type { TraceStage } from '../../core/engine/tracer/trace.ts';

/** Formats the graph after the last pass for people, with the number of operators after each pass. */
export function renderStages(stages: readonly TraceStage[], options: { readonly everyLayer: boolean }): string {
  const names = stages.map((stage, index) => `  ${index}  ${stageName(stage)}`).join('\n');
  const graph = dumpGraph(stages.at(-1)!.graph, options);
  return `${graph}\noperators after each pass:\n${names}\n${operatorTable(stages)}\n`;
}

/** Returns the content of {@link renderStages} as a JSON document. */
export function stagesDocument(stages: readonly TraceStage[]): object {
  const { graph } = stages.at(-1)!;
  return {
    passes: stages.map((stage) => ({
      pass: stageName(stage),
      operators: Object.fromEntries(countOperators(stage.graph)),
      total: stage.graph.nodes.length,
    })),
    inputs: graph.inputs.map(valueDocument),
    outputs: graph.outputs.map(valueDocument),
    sections: graphSections(graph).map(({ place, backward, nodes }) => ({
      place: typeof place === 'number' ? `layer ${place}` : place,
      backward,
      nodes: nodes.map((node) => nodeDocument(node, graph)),
    })),
  };
}

function nodeDocument({ op, domain, inputs, outputs, attributes }: Graph['nodes'][number], { values }: Graph): object {
  return { op, domain, inputs, outputs: outputs.map((name) => valueDocument(values.get(name)!)), attributes };
}

function valueDocument({ name, shape, type }: ValueInfo): object {
  return { name, type, shape: shape.map(sizeText) };
}

/** Names a stage after the file of its pass, or `recorded` before the first pass. */
function stageName({ pass }: TraceStage): string {
  return pass === null ? 'recorded' : pass.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function operatorTable(stages: readonly TraceStage[]): string {
  const counts = stages.map(({ graph }) => countOperators(graph));
  const operators = [...new Set(counts.flatMap((count) => [...count.keys()]))];
  const last = counts.at(-1);
  operators.sort((a, b) => (last?.get(b) ?? 0) - (last?.get(a) ?? 0));
  const table = new Table({
    head: ['operator', ...stages.map((_, index) => String(index))],
    style: { head: [], border: [], compact: true },
  });
  table.push(['all', ...stages.map(({ graph }) => String(graph.nodes.length))]);
  for (const operator of operators)
    table.push([operator, ...counts.map((count) => String(count.get(operator) ?? '·'))]);
  return table.toString();
}
