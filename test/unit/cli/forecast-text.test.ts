import { expect, test } from 'vitest';
import { describeForecast, type PrintedForecast } from '../../../cli/reports/forecast-text.ts';

const NOTHING = { predicted: null, low: null, high: null };
const FORECAST: PrintedForecast = {
  adapters: { total: 6, taken: 5 },
  tenant_count: 3,
  skipped: [{ reason: 'dataset_missing', adapters: 1 }],
  waves: [2, 4],
  workers: [{ device: 'cpu', workers: 1 }],
  compatibility: [
    {
      problem: null,
      drift: 0.0761,
      drift_by_projection: { 'mlp.up_proj': { drift: 0.08 }, 'self_attn.q_proj': { drift: null } },
      advice: { verdict: 'revert' },
    },
    { problem: { message: 'adapters of version 0 do not fit' }, drift: null, drift_by_projection: null, advice: null },
  ],
  figures: { device_seconds: NOTHING, ttr_p50_ms: NOTHING, makespan_ms: NOTHING },
  reason: 'nothing was measured',
  basis: [{ text: 'no adaptation that could be compared has ended yet' }],
};

test('a forecast says who is taken, what has changed and what is not known', () => {
  expect(describeForecast(FORECAST).split('\n')).toEqual([
    '  takes      5 of 6 adapters, of 3 tenants, in waves of 2, 4',
    '  leaves     1 dataset missing',
    '  drift      0.076, likely to work: revert',
    '  by group   mlp.up_proj 0.080',
    '  refused    adapters of version 0 do not fit',
    '  basis      one worker; no adaptation that could be compared has ended yet',
    '  not known  nothing was measured',
  ]);
});

test('and how long it takes, with its bounds', () => {
  const figures = {
    device_seconds: { predicted: 75, low: 0.5, high: 3600 },
    ttr_p50_ms: { predicted: 2000, low: 1000, high: 3000 },
    makespan_ms: NOTHING,
  };
  const lines = describeForecast({ ...FORECAST, figures, reason: null }).split('\n');
  expect(lines.slice(5)).toEqual([
    '  device     1 min 15 s (500 ms to 60 min 00 s)',
    '  TTR        2.0 s (1.0 s to 3.0 s)',
    '  basis      one worker; no adaptation that could be compared has ended yet',
  ]);
});
