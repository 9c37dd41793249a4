import { unprocessable } from '../../lib/errors.ts';
import type { GateRule } from '../../../core/options/gates.ts';
import { judgesRows, type MetricName } from '../../../core/options/metrics.ts';

/**
 * @throws AppError 422 `invalid_gate` for a target that no value of the metric can reach, a negative margin, or a limit
 *   of flips under a metric that has none
 */
export function checkGate(metric: MetricName, gate: GateRule): void {
  if (!judgesRows(metric) && gate.max_negative_flips !== undefined) {
    const message = `gate.max_negative_flips is given, expected none for the metric ${metric}, whose rows are neither right nor wrong: leave it out, or choose accuracy or exact_match`;
    throw unprocessable('invalid_gate', message, { field: 'gate.max_negative_flips' });
  }
  const [name, value] = gate.kind === 'absolute' ? ['target', gate.target] : ['margin', gate.margin];
  const most = metric === 'loss' ? Infinity : 1;
  if (value >= 0 && value <= most) return;
  const expected = metric === 'loss' ? 'at least 0 (nats per token)' : 'a fraction from 0 to 1';
  throw unprocessable('invalid_gate', `gate.${name} is ${value}, expected ${expected} for the metric ${metric}`, {
    field: `gate.${name}`,
  });
}
