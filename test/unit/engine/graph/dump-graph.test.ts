import { describe, expect, it } from 'vitest';
import { CPU_PROVIDER } from '../../../../core/engine/devices/execution-provider.ts';
import { programSpec } from '../../../../core/engine/decoder/program-spec.ts';
import { programStages } from '../../../../core/engine/tracer/program-stages.ts';
import { traceProgram } from '../../../../core/engine/tracer/trace-program.ts';
import { countOperators, dumpGraph } from '../../../../core/engine/graph/dump-graph.ts';
import type { Graph, GraphNode } from '../../../../core/engine/graph/graph.ts';
import { graphSections } from '../../../../core/engine/graph/graph-sections.ts';
import { PASSES } from '../../../../core/engine/tracer/trace.ts';
import { SYMBOLIC_SIZES } from '../../../../core/engine/graph/symbolic-sizes.ts';
import { randomAdapter, randomBase } from '../support/random-model.ts';

const base = randomBase({ numLayers: 5 });
const adapter = randomAdapter(base, () => 3);
const spec = programSpec({ kind: 'gradients', config: base.config, adapter });
const graph = traceProgram(spec);

describe('graphSections', () => {
  it('has every node once, layers upwards and then downwards', () => {
    const sections = graphSections(graph);
    expect(sections.flatMap(({ nodes }) => nodes).sort()).toEqual([...graph.nodes].sort());
    expect(sections.map(({ place, backward }) => `${place}${backward ? '′' : ''}`)).toEqual([
      'before',
      '0',
      '1',
      '2',
      '3',
      '4',
      'after',
      'after′',
      '4′',
      '3′',
      '2′',
      '1′',
      '0′',
      'outputs',
    ]);
  });

  it("computes a layer's gradients in that layer", () => {
    const placeOf = new Map(
      graphSections(graph).flatMap(({ place, backward, nodes }) =>
        nodes.flatMap(({ outputs }) => outputs.map((name) => [name, { place, backward }])),
      ),
    );
    const gradients = graph.nodes.filter(({ outputs }) => outputs[0].endsWith('.gradient'));
    expect(gradients).toHaveLength(5 * 7 * 2);
    for (const { inputs, outputs } of gradients) {
      const layer = Number(/layers\.(\d+)/.exec(outputs[0])![1]);
      expect(placeOf.get(inputs[0]!), outputs[0]).toEqual({ place: layer, backward: true });
    }
  });
});

describe('dumpGraph', () => {
  it('writes operators with literals, attributes, types and names of sizes', () => {
    const { tokens, bins } = SYMBOLIC_SIZES;
    const x = { name: 'x', shape: [tokens, 6], type: 'float32' } as const;
    const y = { name: 'y', shape: [2 * tokens, 3], type: 'float32' } as const;
    const z = { name: 'z', shape: [bins], type: 'int32' } as const;
    const shape = { name: 'v0', shape: [2], type: 'int64', data: BigInt64Array.of(-1n, 3n) } as const;
    const large = { name: 'v1', shape: [9], type: 'float32', data: new Float32Array(9) } as const;
    const scale = { name: 'v2', shape: [], type: 'float32', data: Float32Array.of(0.1) } as const;
    const nodes: GraphNode[] = [
      { op: 'Reshape', domain: '', inputs: ['x', 'v0'], outputs: ['y'], attributes: {} },
      {
        op: 'Made',
        domain: '',
        inputs: ['y', 'v1', 'v2'],
        outputs: ['z'],
        attributes: { axis: -1, epsilon: { float: 0.5 }, perm: [1, 0] },
      },
    ];
    const values = new Map([x, y, z, shape, large, scale].map((value) => [value.name, value]));
    const small: Graph = { inputs: [x], outputs: [z], constants: [shape, large, scale], nodes, values };
    expect(dumpGraph(small).split('\n')).toEqual([
      'inputs: 0 weights and factors, and',
      '  x [tokens, 6]',
      '',
      'before the layers: 1 operator',
      '  y [2·tokens, 3] = Reshape(x, [-1, 3])',
      '',
      'outputs: 1 operator',
      '  z int32 [bins] = Made(y, v1, 0.1) axis=-1 epsilon=0.5 perm=[1, 0]',
      '',
    ]);
  });

  it('leaves out layers that repeat an earlier one, and no others', () => {
    const text = dumpGraph(graph);
    expect(text).toMatch(/^layer 2: (\d+) operators, as layer 1$/m);
    expect(text).toMatch(/^layer 2, backward: (\d+) operators, as layer 3, backward$/m);
    expect(text).not.toMatch(/^layer 4.*, as /m);
    const mixed = randomAdapter(base, (module) => (module.includes('layers.2.') ? 5 : 3));
    expect(
      dumpGraph(traceProgram(programSpec({ kind: 'gradients', config: base.config, adapter: mixed }))),
    ).not.toMatch(/^layer 2.*, as /m);
    const full = dumpGraph(graph, { everyLayer: true });
    expect(full.match(/^ {2}.* = \w+\(/gm)).toHaveLength(graph.nodes.length);
  });
});

describe('programStages', () => {
  it('are the recorded graph, one after each pass, and what runs at the end', () => {
    const stages = programStages(spec, CPU_PROVIDER, new Map());
    expect(stages.map(({ pass }) => pass)).toEqual([null, ...PASSES.map(({ name }) => name)]);
    expect(stages.at(-1)!.graph.nodes).toEqual(graph.nodes);
    const counts = stages.map((stage) => countOperators(stage.graph));
    expect(counts[0]!.get('Gemm')!).toBeGreaterThan(counts.at(-1)!.get('Gemm')!);
    for (const [index, count] of counts.entries()) {
      expect([...count.values()].reduce((a, b) => a + b)).toBe(stages[index]!.graph.nodes.length);
    }
  });
});
