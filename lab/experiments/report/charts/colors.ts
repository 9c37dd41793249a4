import { COLORS } from '../../../bench/chart.ts';

/** Okabe and Ito's colors, ordered so that neighbors differ well. */
const PALETTE = ['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#8C564B', '#000000'];

/** Gives each strategy the same color in every chart. The first baseline is grey. */
export function strategyColors(names: readonly string[], baselines: readonly string[]) {
  const others = names.filter((name) => name !== baselines[0]);
  const colorOf = (name: string): string =>
    name === baselines[0] ? COLORS.other : PALETTE[others.indexOf(name) % PALETTE.length]!;
  return {
    field: 'strategy',
    type: 'nominal' as const,
    title: null,
    scale: { domain: [...names], range: names.map(colorOf) },
    legend: { orient: 'top' as const, symbolType: 'stroke' as const, symbolStrokeWidth: 3, columns: 8 },
  };
}

/** Makes a logarithmic axis of seconds. */
export function secondsAxis(title: string) {
  return {
    field: 'seconds',
    type: 'quantitative' as const,
    title,
    scale: { type: 'log' as const, nice: false },
    axis: { tickCount: 6, format: '~g' },
  };
}
