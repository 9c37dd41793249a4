import type { RolloutForecast } from '@readapt/client';

export type Figure = RolloutForecast['figures']['makespan_ms'];

/** The figures of a forecast in the order of what people ask first, with how many milliseconds one of their unit has. */
export const FIGURES = [
  { name: 'makespan_ms', label: 'Time to the end', ms: (value: number) => value },
  { name: 'ttr_p50_ms', label: 'Half are ready within', ms: (value: number) => value },
  { name: 'ttr_p90_ms', label: 'Nine of ten are ready within', ms: (value: number) => value },
  { name: 'device_seconds', label: 'Device time of all adaptations', ms: (value: number) => value * 1000 },
] as const;

/** An interval with what was predicted, and the truth as a dot where it is known. It says nothing that the figures beside it do not. */
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
