import { expect, it } from 'vitest';
import { cells, driftHeatMap } from '../../../bench/drift/heat-map.ts';
import { renderSvg } from '../../../bench/chart.ts';
import { matrix } from '../../../core/linalg/matrix.ts';
import { evolutionOf } from '../method/support/adapters.ts';

/** Weights of norm 1, so that the drift of a module is the norm of its change. */
const evolution = evolutionOf(
  new Map([
    ['model.layers.0.self_attn.q_proj', matrix(2, 2, [0.03, 0, 0, 0.04])],
    ['model.layers.0.mlp.up_proj', matrix(2, 2, [0, 0, 0, 0])],
    ['model.layers.1.self_attn.q_proj', matrix(2, 2, [0.2, 0, 0, 0])],
  ]),
);

it('has a square for every module that changed, in percent', () => {
  expect(cells(evolution)).toEqual([
    { layer: 0, projection: 'q_proj', drift: expect.closeTo(5, 6), energy: expect.closeTo(100, 4) },
    { layer: 1, projection: 'q_proj', drift: expect.closeTo(20, 6), energy: expect.closeTo(100, 4) },
  ]);
});

it('draws drift and energy', async () => {
  const svg = await renderSvg(driftHeatMap(evolution, { text: 'v1 to v2' }));
  expect(svg).toContain('layer: 0; projection: q_proj; drift: 5"');
  expect(svg.match(/projection: q_proj; energy: /g)).toHaveLength(6);
  expect(svg).toContain('v1 to v2');
});
