import type { Evolution } from '@readapt/client';
import { useMemo } from 'react';
import { count, percent } from '../../lib/format.ts';
import { Chart, type ChartProps } from '../../parts/chart/chart.tsx';

type Point = Evolution['captured_energy_by_rank'][number];

/** Curve of the share of the base's change that an adapter can hold, and thus undo, by its rank. */
export function EnergyCurve({ points }: { points: readonly Point[] }) {
  const plot = useMemo(() => plotOf(points), [points]);
  const last = points.at(-1);
  if (last === undefined) return null;
  return (
    <Chart
      label={`Rank ${count(last.rank)} holds ${percent(last.share)} of the change of the base`}
      height={220}
      plot={plot}
      table={{
        columns: ['Rank', 'Share of the change'],
        rows: points.map(({ rank, share }) => [count(rank), percent(share)]),
      }}
      caption={
        'What an adapter of this rank can hold of the change of the base at best, as a share of its squared size: ' +
        'a copy of the old adapter can be mended by that much without training.'
      }
    />
  );
}

function plotOf(points: readonly Point[]): ChartProps['plot'] {
  return (library) => ({
    x: { label: 'Rank', type: 'log', base: 2, ticks: points.map(({ rank }) => rank), tickFormat: count },
    y: { label: 'Share of the change', domain: [0, 1], tickFormat: percent, grid: true },
    marks: [
      library.ruleY([0]),
      library.lineY(points, { x: 'rank', y: 'share', stroke: 'var(--accent-9)', strokeWidth: 2 }),
      library.dot(points, { x: 'rank', y: 'share', fill: 'var(--accent-9)' }),
    ],
  });
}
