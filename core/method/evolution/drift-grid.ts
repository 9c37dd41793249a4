import { totalDrift, type Evolution } from './evolution.ts';

/** Drift of one projection (`mlp.up_proj`) by layer. */
export interface DriftRow {
  readonly projection: string;
  /** One a layer; null where the layer has no such module. */
  readonly drifts: readonly (number | null)[];
  /** Over all layers together. */
  readonly drift: number;
}

/** The adaptable modules' drift as layers × projections, projections in the order of a layer. */
export function driftGrid({ modules }: Evolution): DriftRow[] {
  const cells = [...modules].map(([name, module]) => {
    const [, layer, projection] = /^model\.layers\.(\d+)\.(.+)$/.exec(name)!;
    return { layer: Number(layer), projection: projection!, module };
  });
  const layers = Math.max(-1, ...cells.map(({ layer }) => layer)) + 1;
  return [...new Set(cells.map(({ projection }) => projection))].map((projection) => {
    const row = cells.filter((cell) => cell.projection === projection);
    const drifts = Array.from(
      { length: layers },
      (_, layer) => row.find((cell) => cell.layer === layer)?.module.drift ?? null,
    );
    return { projection, drifts, drift: totalDrift(row.map(({ module }) => module)).drift };
  });
}
