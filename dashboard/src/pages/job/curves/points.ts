import type { MetricPoint } from '@readapt/client';

/** More points than this cannot be told apart on a screen. */
const DRAWN = 600;

/** A value by the step of training at which it was measured. */
export interface Point {
  readonly step: number;
  readonly value: number;
}

/** The points of one name, in the order of their steps. */
export function curveOf(points: readonly MetricPoint[], name: string): readonly Point[] {
  return points.filter((point) => point.name === name).sort((a, b) => a.step - b.step);
}

/** At most {@link DRAWN} points of a curve, at equal distances, the first and the last among them. */
export function thinned(curve: readonly Point[]): readonly Point[] {
  if (curve.length <= DRAWN) return curve;
  const stride = (curve.length - 1) / (DRAWN - 1);
  return Array.from({ length: DRAWN }, (_, index) => curve[Math.round(index * stride)]!);
}

/** Steps are whole numbers; a short axis has ticks between them, which stay without a name. */
export function stepTick(step: number): string {
  return Number.isInteger(step) ? String(step) : '';
}
