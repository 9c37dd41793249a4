import { listJobMetrics, type MetricPoint } from '@readapt/client';
import { client } from '../../../api/client.ts';

/** The API answers with 5,000 points at the most. */
const PAGE_SIZE = 5000;
/** Of longer trainings, the first points are shown. */
const MOST_POINTS = 100_000;
/** More points than this cannot be told apart on a screen. */
const DRAWN = 600;

/** Reads the points that came after those that are known, oldest first. */
export async function readPoints(
  jobId: string,
  known: readonly MetricPoint[],
  signal: AbortSignal,
): Promise<readonly MetricPoint[]> {
  const points = [...known];
  while (points.length < MOST_POINTS) {
    const query = { limit: PAGE_SIZE, since_id: points.at(-1)?.id };
    const { data } = await listJobMetrics({ client, path: { id: jobId }, query, signal });
    points.push(...data);
    if (data.length < PAGE_SIZE) break;
  }
  return points;
}

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
