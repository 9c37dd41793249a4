import { describe, expect, it } from 'vitest';
import { CompiledRuntime } from '../../../../../core/engine/compiled/compiled-runtime.ts';
import { programSpec, type Recompute } from '../../../../../core/engine/decoder/program-spec.ts';
import type { Graph } from '../../../../../core/engine/graph/graph.ts';
import { sizeName } from '../../../../../core/engine/graph/symbolic-sizes.ts';
import { eliminateDeadNodes } from '../../../../../core/engine/graph/passes/eliminate-dead-nodes.ts';
import { traceProgram } from '../../../../../core/engine/tracer/trace-program.ts';
import { factorArrays } from '../../../../../core/training/optimizer/factors.ts';
import { largestDifference } from '../../support/numeric.ts';
import { asDora, randomAdapter, randomBase, randomBatch } from '../../support/random-model.ts';
import { disposeAfterEach } from '../../support/opened-runtimes.ts';
import { everyModule } from '../../support/variations.ts';

const opened = disposeAfterEach();

const LAYERS = 3;
const base = randomBase({ numLayers: LAYERS });
const lora = randomAdapter(base, everyModule);

interface ProgramCase {
  readonly attentionBlocks?: number;
  readonly dropout?: boolean;
}

const graphOf = (recompute: Recompute, { attentionBlocks = 1, dropout = false }: ProgramCase = {}): Graph =>
  traceProgram(
    programSpec({ kind: 'gradients', config: base.config, adapter: lora, attentionBlocks, dropout, recompute }),
  );

/** Shapes of the values that are kept from the forward pass for the gradients, with their counts. */
function waiting(graph: Graph): Map<string, number> {
  const forward = new Set(eliminateDeadNodes({ ...graph, outputs: graph.outputs.slice(0, 1) }).nodes);
  const computed = new Set([...forward].flatMap(({ outputs }) => outputs));
  const read = graph.nodes.filter((node) => !forward.has(node)).flatMap(({ inputs }) => inputs);
  const counts = new Map<string, number>();
  for (const name of new Set(read.filter((each) => computed.has(each)))) {
    const form = graph.values.get(name)!.shape.map(sizeName).join(', ');
    counts.set(form, (counts.get(form) ?? 0) + 1);
  }
  return counts;
}

const isRotary = (form: string): boolean => form === `tokens, ${base.config.headDim / 2}`;
const isOfScores = (form: string): boolean => form.split('binLength').length > 2;

describe('what gradients compute again', () => {
  it('keeps what enters each attention and each MLP, where layers are computed again', () => {
    const hidden = `tokens, ${base.config.hiddenSize}`;
    const wide = [...waiting(graphOf('layers'))].filter(([form]) => form.includes('tokens, ') && !isRotary(form));
    // The input of the last MLP has only the rows of the labels.
    expect(wide).toEqual([[hidden, 2 * LAYERS - 1]]);
    expect(waiting(graphOf('cheap')).get(hidden)).toBeGreaterThan(2 * LAYERS);
  });

  it('leaves no scores waiting where those are computed again', () => {
    const scores = (recompute: Recompute, attentionBlocks: number) =>
      [...waiting(graphOf(recompute, { attentionBlocks })).keys()].filter(isOfScores);
    expect(scores('cheap', 4)).not.toEqual([]);
    // The masks depend only on the places, and are the same for every layer.
    expect(scores('scores', 4).filter((form) => !/^bins, 1, /.test(form))).toEqual([]);
    expect(scores('layers', 1).filter((form) => !/^bins, 1, /.test(form))).toEqual([]);
  });

  it('leaves no dropout mask waiting where layers are computed again', () => {
    const wide = (graph: Graph) =>
      [...waiting(graph)].reduce((total, [form, n]) => total + (/tokens, \d/.test(form) ? n : 0), 0);
    expect(wide(graphOf('layers', { dropout: true }))).toBeLessThan(wide(graphOf('cheap', { dropout: true })) / 3);
  });

  it.each([
    { name: 'LoRA', adapter: lora, dropout: undefined },
    { name: 'DoRA', adapter: asDora(lora), dropout: undefined },
    { name: 'dropout', adapter: lora, dropout: { rate: 0.3, seed: 4 } },
  ])('does not change a bit of loss and gradients: $name', async ({ adapter, dropout }) => {
    const batch = randomBatch(base, [9, 4, 6], 4);
    const [kept, repeated] = [Infinity, 0].map((activationBytes) =>
      opened(new CompiledRuntime(base, { threads: 1, activationBytes })),
    );
    const expected = await kept!.gradients(adapter, batch, 1, dropout);
    const found = await repeated!.gradients(adapter, batch, 1, dropout);
    expect(found.lossSum).toBe(expected.lossSum);
    for (const [name, values] of factorArrays(expected.gradients)) {
      expect(largestDifference(factorArrays(found.gradients).get(name)!, values), name).toBe(0);
    }
  });
});
