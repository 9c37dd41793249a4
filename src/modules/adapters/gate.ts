import { unprocessable } from '../../lib/errors.ts';
import type { Gate, Metric } from './adapter.schemas.ts';

/** @throws AppError 422 `invalid_gate` for a target that no value of the metric can reach, or a negative margin. */
export function checkGate(metric: Metric, gate: Gate): void {
  const [name, value] = gate.kind === 'absolute' ? ['target', gate.target] : ['margin', gate.margin];
  const most = metric === 'loss' ? Infinity : 1;
  if (value >= 0 && value <= most) return;
  const expected = metric === 'loss' ? 'at least 0 (nats a token)' : 'a fraction from 0 to 1';
  throw unprocessable('invalid_gate', `gate.${name} is ${value}, expected ${expected} for metric ${metric}`, {
    field: `gate.${name}`,
  });
}
