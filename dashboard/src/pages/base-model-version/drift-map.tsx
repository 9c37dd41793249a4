import type { EvolutionModule } from '@readapt/client';
import { useMemo } from 'react';
import { count, percent } from '../../lib/format.ts';
import { Chart, type ChartProps } from '../../parts/chart/chart.tsx';

/** Height of one row of the map in pixels. */
const ROW = 26;
const MARGINS = 90;

/** Name of a projection without that of its block: `q_proj` for `self_attn.q_proj`. */
const shortName = (projection: string): string => projection.replace(/^(self_attn|mlp)\./, '');

const projectionsOf = (modules: readonly EvolutionModule[]) => [
  ...new Set(modules.map(({ projection }) => projection)),
];

/** Heat map of each module's drift by layer and projection; darker means more drift. */
export function DriftMap({ modules }: { modules: readonly EvolutionModule[] }) {
  const cells = useMemo(() => modules.filter(({ layer }) => layer !== null), [modules]);
  const plot = useMemo(() => plotOf(cells), [cells]);
  const most = modules.reduce((found, each) => (each.drift > found.drift ? each : found));
  const least = Math.min(...modules.map(({ drift }) => drift));
  return (
    <Chart
      label={`Drift of ${count(modules.length)} modules by layer, at most ${percent(most.drift)}, in ${most.name}`}
      height={MARGINS + ROW * projectionsOf(cells).length}
      plot={plot}
      table={{
        columns: ['Module', 'Drift', 'Rank kept', 'Share of the change that it holds'],
        rows: modules.map(({ name, drift, rank, captured_energy: energy }) => [
          name,
          percent(drift),
          count(rank),
          percent(energy),
        ]),
      }}
      caption={
        'The darker, the further the weights have moved: the change of a module by its own size, ' +
        `${percent(least)} to ${percent(most.drift)}.`
      }
    />
  );
}

function plotOf(cells: readonly EvolutionModule[]): ChartProps['plot'] {
  return (library) => ({
    marginLeft: 96,
    x: { label: 'Layer', type: 'band', tickFormat: (layer: number) => String(layer) },
    y: { label: null, domain: projectionsOf(cells).map(shortName) },
    color: { type: 'sqrt', interpolate: shade },
    marks: [
      library.cell(cells, {
        x: 'layer',
        y: ({ projection }: EvolutionModule) => shortName(projection),
        fill: 'drift',
        inset: 0.5,
      }),
    ],
  });
}

/** Theme colour for a share in [0, 1], darker for a larger share. */
function shade(share: number): string {
  return `color-mix(in oklab, var(--accent-12) ${Math.round(share * 100)}%, var(--accent-3))`;
}
