import { withOnnxProducts } from '../../core/engine/compiled/onnx-products.ts';
import { readModelConfig } from '../../core/formats/hugging-face/model-weights.ts';
import { loadAdapter } from '../../core/formats/peft/peft-adapter.ts';
import { adviseOn, type Advice } from '../../core/method/evolution/analysis/advisor.ts';
import {
  analyzeVersions,
  summarizeAnalysis,
  type VersionAnalysis,
} from '../../core/method/evolution/analysis/version-analysis.ts';
import { energyCurve } from '../../core/method/evolution/captured-energy.ts';
import { driftGrid, unadaptableParts } from '../../core/method/evolution/drift.ts';
import type { Evolution } from '../../core/method/evolution/evolution.ts';
import { adapterReach } from '../../core/method/fusion/adapter-reach.ts';
import { percent } from '../screen/output.ts';
import { blocks, scaleOf } from './text-chart.ts';

export interface EvolutionReportOptions {
  readonly base: string;
  readonly against: string;
  /** Folder of an adapter on the base `base`, for which the report gives advice. */
  readonly adapter?: string;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

export interface EvolutionReport {
  readonly document: object;
  readonly rows: readonly (readonly [string, string])[];
}

/** Compares two versions of a base model for `readapt inspect BASE --against NEW`. */
export async function reportEvolution({
  base,
  against,
  adapter,
  ...options
}: EvolutionReportOptions): Promise<EvolutionReport> {
  const loaded = adapter === undefined ? null : await loadAdapter(adapter, await readModelConfig(base));
  const { analysis, reach } = await withOnnxProducts(async (products) => {
    const analysis = await analyzeVersions(base, against, { ...options, products });
    const { evolution } = analysis;
    return { analysis, reach: loaded && evolution ? await adapterReach(loaded, evolution, { products }) : undefined };
  });
  const advice = adviseOn({ ...analysis, reach });
  const document = { kind: 'evolution', ...summarizeAnalysis(analysis, advice), ...(reach ? { adapter: reach } : {}) };
  return { document, rows: [...adviceRows(advice), ...evolutionRows(analysis)] };
}

function adviceRows({ verdict, reasons }: Advice): [string, string][] {
  return [
    ['advice', verdict],
    ...reasons.map(({ message }, i): [string, string] => [i === 0 ? 'because' : '', message]),
  ];
}

function evolutionRows({ evolution }: VersionAnalysis): [string, string][] {
  if (evolution === null) return [];
  if (evolution.overall.deltaNorm === 0) return [['drift', 'none']];
  const parts = [...unadaptableParts(evolution)].map(([part, { drift }]) => `${part} ${percent(drift, 2)}`);
  const curve = energyCurve(evolution).map(({ rank, share }) => `${rank}: ${(100 * share).toFixed(0)} %`);
  return [
    [
      'drift',
      `adaptable layers ${percent(evolution.adaptable.drift, 2)}, ${parts.join(', ')}, all ` +
        `${percent(evolution.overall.drift, 2)}`,
    ],
    ['energy by rank', curve.join(', ')],
    ...heatMap(evolution),
  ];
}

/**
 * Draws the drift: one row for each projection, layers from left to right, and the drift over all layers at the end.
 */
function heatMap(evolution: Evolution): [string, string][] {
  const grid = driftGrid(evolution);
  const scale = scaleOf(grid.flatMap(({ drifts }) => drifts));
  if (scale === null) return [];
  return [
    ['drift by layer', `▁ ${percent(scale.least, 2)} … █ ${percent(scale.most, 2)}`],
    ...grid.map(({ projection, drifts, drift }): [string, string] => {
      return [`  ${projection.replace(/^.*\./, '')}`, `${blocks(drifts, scale)}  ${percent(drift, 2)}`];
    }),
  ];
}
