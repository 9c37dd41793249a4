import type { RolloutForecast } from '@readapt/client';

export type Figure = RolloutForecast['figures']['makespan_ms'];

/**
 * Figures that a forecast predicts, the most asked for first. `ms` converts a figure to milliseconds from its own unit.
 */
export const FIGURES = [
  { name: 'makespan_ms', label: 'Time to the end', ms: (value: number) => value },
  { name: 'ttr_p50_ms', label: 'Half are ready within', ms: (value: number) => value },
  { name: 'ttr_p90_ms', label: 'Nine of ten are ready within', ms: (value: number) => value },
  { name: 'device_seconds', label: 'Device time of all adaptations', ms: (value: number) => value * 1000 },
] as const;

/**
 * Bar that shows a predicted value with its interval, and a dot for the actual value if known. It only repeats the
 * figures beside it, so it is hidden from screen readers.
 */
export function IntervalBar({ figure: { predicted, low, high, actual } }: { figure: Figure }) {
  if (predicted === null || low === null || high === null) return null;
  const end = Math.max(high, actual ?? 0) * 1.05;
  const at = (value: number) => `${(100 * value) / end}%`;
  return (
    <div className="interval" aria-hidden>
      <span className="interval-range" style={{ left: at(low), width: at(high - low) }} />
      <span className="interval-predicted" style={{ left: at(predicted) }} />
      {actual !== null && <span className="interval-actual" style={{ left: at(actual) }} />}
    </div>
  );
}
