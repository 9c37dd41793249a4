import type { SurfaceRecord } from '../../records.ts';
import { marked, table } from '../format.ts';

/** Writes the smallest loss over α for each β, which shows where a surface is lowest, and whether at an edge. */
export function surfacesSection(surfaces: readonly SurfaceRecord[], experiment: string): string[] {
  if (surfaces.length === 0) return [];
  const found = surfaces.flatMap(({ points }) => points.map(({ beta }) => beta));
  const betas = [...new Set(found)].sort((a, b) => a - b);
  const header = ['β', ...surfaces.map(({ task, evolution }) => `${task}, ${evolution}`)];
  const rows = betas.map((beta) => [
    `${beta}`.replace('-', '−'),
    ...surfaces.map((surface) => smallest(surface, beta)),
  ]);
  return [
    '## Losses by β',
    '',
    'For each β, the smallest mean loss on the search rows, in nats a token, and behind the dot the α that has it.',
    '',
    ...marked({ of: experiment, name: 'losses' }, table(header, rows)),
    '',
  ];
}

function smallest({ points }: SurfaceRecord, beta: number): string {
  const [best] = points.filter((point) => point.beta === beta).sort((a, b) => a.loss - b.loss);
  return best === undefined ? '–' : `${best.loss.toFixed(3)} · ${best.alpha}`;
}
