import { describe, expect, it } from 'vitest';
import type { Graph, GraphNode } from '../../../../core/engine/graph/graph.ts';
import { GraphEdit, sortNodes } from '../../../../core/engine/graph/graph-edit.ts';
import { shareEqualNodes } from '../../../../core/engine/graph/passes/share-equal-nodes.ts';

const node = (op: string, inputs: string[], outputs: [string, ...string[]], attributes = {}): GraphNode => {
  return { op, domain: '', inputs, outputs, attributes };
};
const value = (name: string) => ({ name, shape: [2], type: 'float32' as const });
const graphOf = (nodes: GraphNode[], outputs: string[]): Graph => ({
  inputs: [value('x')],
  outputs: outputs.map(value),
  constants: [],
  nodes,
  values: new Map(['x', ...nodes.flatMap((each) => each.outputs)].map((name) => [name, value(name)])),
});

describe('sortNodes', () => {
  it('moves a node before its first use, and nothing else', () => {
    const [a, b, c] = [node('A', ['c'], ['a']), node('B', ['x'], ['b']), node('C', ['x'], ['c'])] as const;
    expect(sortNodes([b, a, c])).toEqual([b, c, a]);
    expect(sortNodes([c, b, a])).toEqual([c, b, a]);
  });

  it('refuses nodes that need each other', () => {
    expect(() => sortNodes([node('A', ['b'], ['a']), node('B', ['a'], ['b'])])).toThrow('node a needs its own result');
  });
});

describe('GraphEdit', () => {
  const exponential = () => graphOf([node('Neg', ['x'], ['y']), node('Exp', ['y'], ['z'])], ['z']);

  it('lets operators take over a value where it is first read, and leaves the original as it was', () => {
    const graph = exponential();
    const edit = new GraphEdit(graph, 'new');
    const part = edit.add({ op: 'Abs', inputs: ['x', edit.integers([1])], output: { shape: [2], type: 'float32' } });
    edit.add({ op: 'Neg', inputs: [part], output: 'y' });
    const edited = edit.finish();
    expect(edited.nodes.map(({ op }) => op)).toEqual(['Abs', 'Neg', 'Exp']);
    expect(edited.constants.map(({ type }) => type)).toEqual(['int64']);
    expect(edited.values.get(part)).toMatchObject({ shape: [2] });
    expect(graph.nodes).toHaveLength(2);
    expect(new GraphEdit(graph).finish()).toEqual(graph);
  });

  it('adds operators in the place of a node, or after one that stays', () => {
    const graph = graphOf(
      [node('Neg', ['x'], ['y']), node('Exp', ['x'], ['e']), node('Add', ['y', 'e'], ['z'])],
      ['z'],
    );
    const [neg, exp, add] = graph.nodes as [GraphNode, GraphNode, GraphNode];
    const edit = new GraphEdit(graph, 'new');
    edit.add({ op: 'Abs', inputs: ['x'], output: 'y' }, neg);
    edit.put({ ...exp, op: 'Log', outputs: [edit.declare(value('again'))] }, exp);
    edit.substitute(add, new Map([['e', 'again']]));
    expect(edit.finish().nodes.map(({ op, inputs }) => [op, ...inputs])).toEqual([
      ['Abs', 'x'],
      ['Log', 'x'],
      ['Add', 'y', 'again'],
    ]);
  });

  it('puts a constant in the place of an input, and drops what nothing reads any more', () => {
    const graph = exponential();
    const edit = new GraphEdit(graph);
    edit.constant({ ...value('y'), data: new Float32Array(2) });
    edit.substitute(graph.nodes[1]!, new Map([['y', edit.input(value('other'))]]));
    const edited = edit.finish();
    expect(edited.inputs.map(({ name }) => name)).toEqual(['other']);
    expect(edited.constants).toEqual([]);
    expect(edited.nodes.map(({ op }) => op)).toEqual(['Exp']);
  });
});

describe('shareEqualNodes', () => {
  it('computes equal nodes once, and what is equal after that', () => {
    const nodes = [
      node('Neg', ['x'], ['a']),
      node('Neg', ['x'], ['b']),
      node('Exp', ['a'], ['c']),
      node('Exp', ['b'], ['d']),
    ];
    const shared = shareEqualNodes(graphOf([...nodes, node('Add', ['c', 'd'], ['z'])], ['z']));
    expect(shared.nodes.map(({ op, inputs }) => [op, ...inputs])).toEqual([
      ['Neg', 'x'],
      ['Exp', 'a'],
      ['Add', 'c', 'c'],
    ]);
  });

  it('tells attributes, operands and numbers of outputs apart, and keeps every output of the graph', () => {
    const nodes = [
      node('Sum', ['x'], ['a'], { axis: 0 }),
      node('Sum', ['x'], ['b'], { axis: 1 }),
      node('Norm', ['x'], ['c']),
      node('Norm', ['x'], ['d', 'e']),
      node('Neg', ['x'], ['f']),
      node('Neg', ['x'], ['g']),
    ];
    expect(shareEqualNodes(graphOf(nodes, ['a', 'b', 'c', 'd', 'f', 'g'])).nodes).toHaveLength(6);
  });
});
