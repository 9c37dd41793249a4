import { criticalSlices, type CriticalSlice } from '../../options/gates.ts';
import { AdaptationError } from '../errors.ts';
import { pairedEvidence, reaches } from './evidence.ts';
import { rowsToDecide } from './gate-rows.ts';
import type { Gate, GateFailure, GateMeasurement, SliceVerdict } from './gate-types.ts';
import { onRows } from './measured-rows.ts';

/**
 * Judges a candidate on the rows of each critical slice. Each slice may use the look's whole error probability, because
 * a candidate passes only if every slice that has to be certified passes its test. Such an intersection-union test errs
 * no more often than each of its tests (Berger, Technometrics 24, 1982, 295–300).
 * @param level error probability of the look
 * @throws AdaptationError `invalid_gate` for a slice that no gate row is in
 */
export function judgeSlices(
  gate: Gate,
  reference: GateMeasurement,
  found: GateMeasurement,
  level: number,
): readonly SliceVerdict[] {
  return criticalSlices(gate).map((slice) => {
    const rows = rowsOf(gate, slice);
    return judgeSlice(gate, slice, { from: onRows(reference, rows), found: onRows(found, rows), level });
  });
}

/** Returns the requirements of the gate that a candidate misses because of its verdicts on critical slices. */
export function sliceFailures(slices: readonly SliceVerdict[]): GateFailure[] {
  const failed: GateFailure[] = [];
  if (slices.some(({ verdict }) => verdict === 'failed')) failed.push('slice');
  if (slices.some(({ verdict, certify }) => certify && verdict === 'inconclusive')) failed.push('slice_bound');
  return failed;
}

interface SliceClaim {
  readonly from: GateMeasurement;
  readonly found: GateMeasurement;
  readonly level: number;
}

function judgeSlice(
  gate: Gate,
  { name, margin, certify = false }: CriticalSlice,
  { from, found, level }: SliceClaim,
): SliceVerdict {
  const [value, old] = [found.metric.value, from.metric.value];
  const needed = gate.metric === 'loss' ? old + margin : old - margin;
  const { certified, bound } = pairedEvidence(from, found, { needed, level });
  const verdict = !reaches(gate.metric, value, needed) ? 'failed' : certified ? 'passed' : 'inconclusive';
  const rowsNeeded = verdict === 'inconclusive' ? rowsToDecide({ ...gate, margin } as Gate, from, found) : null;
  return { name, margin, certify, verdict, rows: found.metric.rows, value, old, bound, rowsNeeded };
}

export function rowsOf({ sliceRows }: Gate, { name, margin }: CriticalSlice): readonly number[] {
  if (!Number.isFinite(margin)) {
    throw new AdaptationError('invalid_gate', `gate margin of slice ${name} is ${margin}, expected a finite number`);
  }
  const rows = sliceRows?.get(name) ?? [];
  if (rows.length > 0) return rows;
  throw new AdaptationError('invalid_gate', `gate names the slice ${name}, which no gate row is in`);
}
