import type { MetricPoint } from '@readapt/client';

/** Largest number of points drawn in a curve. More cannot be told apart on a screen. */
const DRAWN = 600;

/** Value measured at a training step. */
export interface Point {
  readonly step: number;
  readonly value: number;
}

/** Points with the given name, ordered by step. */
export function curveOf(points: readonly MetricPoint[], name: string): readonly Point[] {
  return points.filter((point) => point.name === name).sort((a, b) => a.step - b.step);
}

/** Selects at most {@link DRAWN} evenly spaced points of a curve, including the first and the last. */
export function thinned(curve: readonly Point[]): readonly Point[] {
  if (curve.length <= DRAWN) return curve;
  const stride = (curve.length - 1) / (DRAWN - 1);
  return Array.from({ length: DRAWN }, (_, index) => curve[Math.round(index * stride)]!);
}

/** Tick label of a step. Ticks between two steps, which a short axis has, get no label. */
export function stepTick(step: number): string {
  return Number.isInteger(step) ? String(step) : '';
}
