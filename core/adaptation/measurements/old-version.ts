import type { LoadedBase } from '../../engine/base-cache.ts';
import type { GateMeasurement } from '../../method/gate/readiness-gate.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { measureOldForGate, oldPrecision, type ExactGate } from './exact-gate.ts';
import { fromOutcomes, toOutcomes, type GateOutcomes } from './gate-outcomes.ts';

/** How the old adapter does on the old base. */
export interface OldVersion {
  readonly measured: GateMeasurement;
  /** As they are stored for later jobs; null if the metric is not a finite number. */
  readonly outcomes: GateOutcomes | null;
}

/** Measures the old adapter on the old base. */
export async function measureOld(exact: ExactGate, oldBase: LoadedBase, adapter: Adapter): Promise<OldVersion> {
  const measured = await measureOldForGate(exact, oldBase, adapter);
  if (!Number.isFinite(measured.metric.value)) return { measured, outcomes: null };
  const precision = measured.judgedIn ?? oldPrecision(exact.gate, oldBase);
  return { measured, outcomes: toOutcomes(measured, exact.measurements.gateSubject(oldBase, precision)) };
}

/** Reads stored outcomes of the old adapter. Null if there are none or if they describe something else. */
export function storedOld(
  { measurements, gate }: ExactGate,
  newBase: LoadedBase,
  stored: GateOutcomes | null | undefined,
): GateMeasurement | null {
  return stored ? fromOutcomes(stored, measurements.gateSubject(newBase, oldPrecision(gate, newBase))) : null;
}
