import type { TopLevelSpec } from 'vega-lite';
import { COLORS } from '../../../bench/chart.ts';
import type { EvolutionRecord } from '../../records.ts';

interface Cell {
  readonly evolution: string;
  readonly layer: number;
  readonly projection: string;
  /** Drift in percent. */
  readonly drift: number;
}

/** Draws the drift of every adaptable module as a heat map of layers and projections. */
export function driftChart(evolutions: readonly EvolutionRecord[]): TopLevelSpec {
  const values = driftCells(evolutions);
  const projections = [...new Set(values.map(({ projection }) => projection))];
  return {
    data: { values },
    facet: { row: { field: 'evolution', type: 'nominal', title: null, sort: null, header: { labelOrient: 'top' } } },
    spec: {
      width: { step: 20 },
      height: { step: 20 },
      mark: { type: 'rect', stroke: COLORS.background },
      encoding: {
        x: { field: 'layer', type: 'ordinal', title: 'layer', axis: { labelAngle: 0 } },
        y: { field: 'projection', type: 'nominal', title: null, sort: projections },
        color: { field: 'drift', type: 'quantitative', title: 'drift, %', scale: { scheme: 'viridis', zero: true } },
      },
    },
  };
}

function driftCells(evolutions: readonly EvolutionRecord[]): Cell[] {
  return different(evolutions).flatMap(({ evolution, drifts }) =>
    drifts.flatMap(({ projection, drifts: byLayer }) =>
      byLayer.flatMap((drift, layer) => (drift === null ? [] : [{ evolution, layer, projection, drift: 100 * drift }])),
    ),
  );
}

/** Leaves out an evolution that was computed again for another tenant with the same result. */
function different(evolutions: readonly EvolutionRecord[]): EvolutionRecord[] {
  const drawn = evolutions.map(({ drifts }) => JSON.stringify(drifts));
  return evolutions.filter(({ seed }, i) => seed === undefined || drawn.indexOf(drawn[i]!) === i);
}
