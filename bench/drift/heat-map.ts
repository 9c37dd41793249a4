import type { TopLevelSpec } from 'vega-lite';
import { capturedEnergy } from '../../core/method/evolution/captured-energy.ts';
import { driftGrid } from '../../core/method/evolution/drift.ts';
import type { Evolution } from '../../core/method/evolution/evolution.ts';
import { COLORS } from '../chart.ts';

export interface HeatMapTitle {
  readonly text: string;
  readonly subtitle?: string;
}

/** One square: one projection of one layer. */
export interface Cell {
  readonly layer: number;
  readonly projection: string;
  /** In percent. */
  readonly drift: number;
  /** Share of the change that the leading 8 directions hold, in percent. */
  readonly energy: number;
}

/** The cells of an evolution, projection by projection; what did not change at all has none. */
export function cells(evolution: Evolution): Cell[] {
  return driftGrid(evolution).flatMap(({ projection, drifts }) =>
    drifts.flatMap((drift, layer) => {
      if (drift === null || drift === 0) return [];
      const module = evolution.modules.get(`model.layers.${layer}.${projection}`)!;
      return [
        {
          layer,
          projection: projection.replace(/^.*\./, ''),
          drift: 100 * drift,
          energy: 100 * capturedEnergy(module, 8),
        },
      ];
    }),
  );
}

/** Layers × projections twice: how far each moved, and how much of that an adapter of rank 8 can hold. */
export function driftHeatMap(evolution: Evolution, { text, subtitle }: HeatMapTitle): TopLevelSpec {
  const values = cells(evolution);
  return {
    title: { text, ...(subtitle === undefined ? {} : { subtitle }) },
    spacing: 24,
    vconcat: [
      panel(values, { field: 'drift', title: 'drift, %', scheme: 'oranges', scale: 'log' }),
      panel(values, { field: 'energy', title: 'energy at rank 8, %', scheme: 'blues', scale: 'linear' }),
    ],
    resolve: { scale: { color: 'independent' } },
  };
}

interface PanelOptions {
  readonly field: 'drift' | 'energy';
  readonly title: string;
  readonly scheme: 'oranges' | 'blues';
  readonly scale: 'log' | 'linear';
}

function panel(values: readonly Cell[], { field, title, scheme, scale }: PanelOptions) {
  const projections = [...new Set(values.map(({ projection }) => projection))];
  const layers = 1 + Math.max(0, ...values.map(({ layer }) => layer));
  const size = Math.max(12, Math.min(40, Math.floor(640 / layers)));
  return {
    data: { values: [...values] },
    title: { text: title, fontSize: 13, offset: 8 },
    width: { step: size },
    height: { step: 22 },
    encoding: {
      x: { field: 'layer', type: 'ordinal' as const, title: 'layer', axis: { labelAngle: 0 } },
      y: { field: 'projection', type: 'nominal' as const, sort: projections, title: null },
    },
    layer: [
      {
        mark: { type: 'rect' as const, stroke: COLORS.background, strokeWidth: 1 },
        encoding: {
          color: {
            field,
            type: 'quantitative' as const,
            title: null,
            scale: { scheme, type: scale },
            legend: { format: '.3~g', gradientLength: 120 },
          },
        },
      },
      ...(size >= 32 ? [numbers(field, { stroke: COLORS.background, strokeWidth: 3 }), numbers(field, {})] : []),
    ],
  };
}

/** Where squares have room for it: the value. Drawn first as a halo, so that it reads on dark squares. */
function numbers(field: 'drift' | 'energy', halo: { readonly stroke?: string; readonly strokeWidth?: number }) {
  return {
    mark: { type: 'text' as const, fontSize: 11, ...halo },
    encoding: { text: { field, type: 'quantitative' as const, format: '.2~g' } },
  };
}
