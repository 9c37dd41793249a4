import type { TopLevelSpec } from 'vega-lite';
import type { EvolutionRecord } from '../../records.ts';

interface Cell {
  readonly evolution: string;
  readonly layer: number;
  readonly projection: string;
  /** Percent. */
  readonly drift: number;
}

/** Relative drift of every adaptable module, layer by layer. */
export function driftChart(evolutions: readonly EvolutionRecord[]): TopLevelSpec {
  const values = driftCells(evolutions);
  const projections = [...new Set(values.map(({ projection }) => projection))];
  return {
    data: { values },
    facet: { row: { field: 'evolution', type: 'nominal', title: null, sort: null, header: { labelOrient: 'top' } } },
    spec: {
      width: { step: 20 },
      height: { step: 20 },
      mark: { type: 'rect', stroke: '#FCFCFB' },
      encoding: {
        x: { field: 'layer', type: 'ordinal', title: 'layer', axis: { labelAngle: 0 } },
        y: { field: 'projection', type: 'nominal', title: null, sort: projections },
        color: { field: 'drift', type: 'quantitative', title: 'drift, %', scale: { scheme: 'viridis', zero: true } },
      },
    },
  };
}

/** A cell for each module, projections in the order of a layer. */
export function driftCells(evolutions: readonly EvolutionRecord[]): Cell[] {
  return evolutions.flatMap(({ evolution, drifts }) =>
    drifts.flatMap(({ projection, drifts: byLayer }) =>
      byLayer.flatMap((drift, layer) => (drift === null ? [] : [{ evolution, layer, projection, drift: 100 * drift }])),
    ),
  );
}
