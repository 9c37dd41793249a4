import { duration } from '../screen/output.ts';

/** Fields of the API's forecast that are printed. */
export interface PrintedForecast {
  readonly adapters: { readonly total: number; readonly taken: number } | null;
  readonly tenant_count: number | null;
  readonly skipped: readonly { readonly reason: string; readonly adapters: number }[];
  readonly waves: readonly number[];
  readonly workers: readonly { readonly device: string; readonly workers: number }[];
  readonly compatibility: readonly {
    readonly problem: { readonly message: string } | null;
    readonly drift: number | null;
    readonly drift_by_projection: Readonly<Record<string, { readonly drift: number | null }>> | null;
    readonly advice: { readonly verdict: string } | null;
  }[];
  readonly figures: Readonly<Record<'device_seconds' | 'ttr_p50_ms' | 'makespan_ms', ForecastFigure>>;
  readonly reason: string | null;
  readonly basis: readonly { readonly text: string }[];
}

interface ForecastFigure {
  readonly predicted: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/** Describes a forecast in a few indented lines. */
export function describeForecast(forecast: PrintedForecast): string {
  return [...selectionLines(forecast), ...forecast.compatibility.flatMap(changeLines), ...timeLines(forecast)]
    .map((line) => `  ${line}`)
    .join('\n');
}

function selectionLines({ adapters, tenant_count: tenants, skipped, waves }: PrintedForecast): string[] {
  if (adapters === null) return [];
  const left = skipped.map(({ reason, adapters: count }) => `${count} ${reason.replaceAll('_', ' ')}`);
  return [
    `takes      ${adapters.taken} of ${adapters.total} adapters, of ${tenants ?? 0} tenants, in waves of ` +
      `${waves.join(', ')}`,
    ...(left.length === 0 ? [] : [`leaves     ${left.join(', ')}`]),
  ];
}

function changeLines({
  problem,
  drift,
  drift_by_projection: groups,
  advice,
}: PrintedForecast['compatibility'][number]): string[] {
  if (problem !== null) return [`refused    ${problem.message}`];
  const byGroup = Object.entries(groups ?? {}).flatMap(([name, { drift: of }]) =>
    of === null ? [] : [`${name} ${of.toFixed(3)}`],
  );
  return [
    `drift      ${drift?.toFixed(3) ?? '–'}${advice === null ? '' : `, likely to work: ${advice.verdict}`}`,
    ...(byGroup.length === 0 ? [] : [`by group   ${byGroup.join(', ')}`]),
  ];
}

function timeLines({ figures, reason, basis, workers }: PrintedForecast): string[] {
  const count = workers.reduce((sum, each) => sum + each.workers, 0);
  const predicted = (
    [
      ['device', figures.device_seconds, 1000],
      ['TTR', figures.ttr_p50_ms, 1],
      ['end', figures.makespan_ms, 1],
    ] as const
  ).flatMap(([name, { predicted: value, low, high }, scale]) => {
    if (value === null || low === null || high === null) return [];
    const ms = (each: number): string => duration(each * scale);
    return [`${name.padEnd(9)}  ${ms(value)} (${ms(low)} to ${ms(high)})`];
  });
  const from = basis.map(({ text }) => text).join('; ');
  return [
    ...predicted,
    `basis      ${count === 1 ? 'one worker' : `${count} workers`}; ${from}`,
    ...(reason === null ? [] : [`not known  ${reason}`]),
  ];
}
