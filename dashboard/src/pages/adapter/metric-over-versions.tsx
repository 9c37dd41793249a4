import type { Adapter, AdapterVersion } from '@readapt/client';
import { useMemo } from 'react';
import { decimal } from '../../lib/format.ts';
import { metricName } from '../../lib/metric-words.ts';
import { Chart, type ChartProps } from '../../parts/chart/chart.tsx';

interface MetricOverVersionsProps {
  readonly versions: readonly AdapterVersion[];
  readonly metric: Adapter['metric'];
}

type Measured = AdapterVersion & { readonly gate_value: number };

/** Chart of each version's metric on the gate rows, with the imported version's as a reference. */
export function MetricOverVersions({ versions, metric }: MetricOverVersionsProps) {
  const measured = useMemo(
    () => versions.filter((each): each is Measured => each.gate_value !== null).sort((a, b) => a.number - b.number),
    [versions],
  );
  const name = metricName(metric);
  const plot = useMemo(() => plotOf(measured, name), [measured, name]);
  const last = measured.at(-1);
  if (last === undefined) return null;
  const versionsWord = measured.length === 1 ? 'one version' : `${measured.length} versions`;
  return (
    <Chart
      label={`${name} of ${versionsWord}, ${decimal(last.gate_value)} at the last`}
      height={200}
      plot={plot}
      table={{
        columns: ['Version', name, 'Anchor', 'Difference'],
        rows: measured.map(({ number, gate_value: value, anchor }) => [
          number,
          decimal(value),
          decimal(anchor?.value),
          decimal(anchor?.difference),
        ]),
      }}
      caption={
        'Dots: each version on the gate rows and its own base. Grey lines: the imported version that it is ' +
        'compared with, on the same rows and its own base.'
      }
    />
  );
}

function plotOf(measured: readonly Measured[], name: string): ChartProps['plot'] {
  const anchors = measured.flatMap(({ number, anchor }) => (anchor === null ? [] : [{ number, value: anchor.value }]));
  return (library) => ({
    x: { label: 'Version', type: 'band' },
    y: { label: name, grid: true, zero: false, nice: true },
    marks: [
      library.tickY(anchors, { x: 'number', y: 'value', stroke: 'var(--gray-9)', strokeWidth: 2 }),
      library.lineY(measured, { x: 'number', y: 'gate_value', stroke: 'var(--accent-7)' }),
      library.dot(measured, { x: 'number', y: 'gate_value', r: 5, fill: 'var(--accent-9)' }),
    ],
  });
}
