import type { TopLevelSpec } from 'vega-lite';
import { COLORS } from '../../chart.ts';
import { isReadapt } from '../sides/side-protocol.ts';
import type { Figure } from '../workload.ts';
import { GOALS, type BenchDocument, type SideResult, type WorkloadResult } from './document.ts';
import { displayName, workloadName } from './names.ts';
import { summarize, type Summary } from './statistics.ts';

export interface Bar extends Summary {
  readonly workload: string;
  readonly side: string;
  /** Whether this is a bar of Readapt. */
  readonly ours: boolean;
  /** Value that Readapt should reach or, for memory, stay below. Null if PyTorch was not measured. */
  readonly goal: number | null;
}

type ChartFigure = Figure | 'peakMemory';

const PANELS: readonly { readonly figure: ChartFigure; readonly title: string; readonly goal: string }[] = [
  { figure: 'training', title: 'Training, tokens/s', goal: `${GOALS.training} × best PyTorch` },
  { figure: 'evaluation', title: 'Evaluation, tokens/s', goal: `${GOALS.evaluation} × best PyTorch` },
  { figure: 'generation', title: 'Generation, new tokens/s', goal: `${GOALS.generation} × best PyTorch` },
  { figure: 'peakMemory', title: 'Peak memory, GiB', goal: `${GOALS.peakMemory} × least PyTorch` },
];

/** Draws speeds and peak memory of every side on every kind of rows, with the goals. */
export function engineChart(document: BenchDocument): TopLevelSpec {
  const { model, machine, threads, results } = document;
  return {
    title: {
      text:
        `LoRA on ${model.name}, ${(model.parameters / 1e6).toFixed(0)} million parameters: ` +
        'Readapt and transformers + PEFT on PyTorch',
      subtitle:
        'Medians over rounds, lines from least to most; PyTorch with batches grouped by length; ' +
        `${machine.cpu}, ${threads} threads. Dashed: goals for Readapt.`,
    },
    spacing: 28,
    hconcat: PANELS.map(({ figure, title, goal }, i) =>
      panel(
        results.flatMap((result) => bars(result, figure)),
        { title, goal, first: i === 0 },
      ),
    ),
  };
}

export function bars({ sides, ...settings }: WorkloadResult, figure: ChartFigure): Bar[] {
  const goal = goalOf(sides, figure);
  return sides.map((side) => ({
    workload: workloadName(settings),
    side: displayName(side),
    ours: isReadapt(side.name),
    ...summaryOf(side, figure),
    goal,
  }));
}

function goalOf(sides: readonly SideResult[], figure: ChartFigure): number | null {
  const torch = sides.filter(({ name }) => !isReadapt(name)).map((side) => summaryOf(side, figure).median);
  if (torch.length === 0) return null;
  return GOALS[figure] * (figure === 'peakMemory' ? Math.min(...torch) : Math.max(...torch));
}

function summaryOf({ summary, cached }: SideResult, figure: ChartFigure): Summary {
  return figure === 'peakMemory' ? summarize([cached.peakMemory / 2 ** 30]) : summary.grouped[figure];
}

interface PanelOptions {
  readonly title: string;
  readonly goal: string;
  /** Whether this is the leftmost panel, which alone shows the names of sides and rows. */
  readonly first: boolean;
}

function panel(values: readonly Bar[], { title, goal, first }: PanelOptions) {
  const compared = values.some((bar) => bar.goal !== null);
  return {
    data: { values: [...values] },
    title: {
      text: title,
      subtitle: compared ? `goal: ${goal}` : '',
      subtitleColor: COLORS.goal,
      fontSize: 13,
      offset: 8,
    },
    facet: {
      row: {
        field: 'workload',
        type: 'nominal' as const,
        sort: [...new Set(values.map(({ workload }) => workload))],
        title: null,
        header: first ? { labelOrient: 'left' as const } : { labels: false },
      },
    },
    spacing: 14,
    spec: {
      width: 160,
      height: { step: 24 },
      encoding: {
        y: {
          field: 'side',
          type: 'nominal' as const,
          sort: null,
          title: null,
          axis: first ? { labelLimit: 0 } : { labels: false },
        },
      },
      layer: layers(values, compared),
    },
  };
}

/** Draws a panel. Medians are drawn twice, first as a halo, so that they stay legible on the line of the goal. */
function layers(values: readonly Bar[], compared: boolean) {
  const end = Math.max(...values.flatMap(({ most, goal }) => [most, goal ?? 0]));
  const small = end < 100;
  const x = (field: keyof Bar) => ({ field, type: 'quantitative' as const });
  const axis = { tickCount: 4, format: small ? '~f' : ',.0f' };
  const colors = { domain: [true, false], range: [COLORS.readapt, COLORS.other] };
  const label = (mark: { readonly stroke?: string; readonly strokeWidth?: number }) => ({
    mark: { type: 'text' as const, align: 'left' as const, dx: 5, ...mark },
    encoding: { x: x('most'), text: { ...x('median'), format: small ? '.2f' : ',.0f' } },
  });
  const goal = {
    mark: { type: 'rule' as const, color: COLORS.goal, strokeDash: [5, 3], strokeWidth: 1.5 },
    encoding: { x: { aggregate: 'max' as const, ...x('goal') }, y: { value: 0 }, y2: { value: 'height' as const } },
  };
  return [
    {
      mark: { type: 'bar' as const, height: 16, cornerRadiusEnd: 2 },
      encoding: {
        x: { ...x('median'), title: null, axis, scale: { domain: [0, 1.18 * end], nice: false } },
        color: { field: 'ours', type: 'nominal' as const, legend: null, scale: colors },
      },
    },
    {
      mark: { type: 'rule' as const, color: COLORS.ink, strokeWidth: 1.5 },
      encoding: { x: x('least'), x2: { field: 'most' } },
    },
    ...(compared ? [goal] : []),
    label({ stroke: COLORS.background, strokeWidth: 4 }),
    label({}),
  ];
}
