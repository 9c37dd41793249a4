import type { LoadedBase } from '../../engine/base-cache.ts';
import { readAdapterOutcomes } from '../../formats/peft/adapter-outcomes.ts';
import { adapterSha256 } from '../../formats/peft/peft-adapter-writer.ts';
import type { GateMeasurement } from '../../method/gate/readiness-gate.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { PRECISIONS } from '../../options/precisions.ts';
import type { JobSpec } from '../job-spec.ts';
import { measureOldForGate, oldPrecision, type ExactGate } from './exact-gate.ts';
import { fromOutcomes, fromRowOutcomes, toOutcomes, type GateOutcomes, type OutcomesSubject } from './gate-outcomes.ts';

/** Measurement of the old adapter on the old base, and its outcomes to store. */
export interface OldVersion {
  readonly measured: GateMeasurement;
  /** Outcomes to store for later jobs; null if the metric is not a finite number. */
  readonly outcomes: GateOutcomes | null;
}

/** Measures the old adapter on the old base. */
export async function measureOld(exact: ExactGate, oldBase: LoadedBase, adapter: Adapter): Promise<OldVersion> {
  const measured = await measureOldForGate(exact, oldBase, adapter);
  if (!Number.isFinite(measured.metric.value)) return { measured, outcomes: null };
  const precision = measured.judgedIn ?? oldPrecision(exact.gate, oldBase);
  return { measured, outcomes: toOutcomes(measured, exact.measurements.gateSubject(oldBase, precision)) };
}

/**
 * Function that looks up a stored measurement of the old adapter on the old base; it returns null if none was made with
 * these inputs.
 */
export type KnownOld = (subject: OutcomesSubject) => GateMeasurement | null;

const NOTHING_KNOWN: KnownOld = () => null;

export function givenOutcomes(given: GateOutcomes | null | undefined): KnownOld {
  return (subject) => (given ? fromOutcomes(given, subject) : null);
}

/**
 * Returns a look-up of the outcomes given to a job or, if none were given and the job trusts them, of those stored
 * beside the adapter.
 * @param oldFingerprint returns the old base's fingerprint
 * @throws FormatError `invalid_outcomes`
 */
export async function knownOutcomes(
  { oldOutcomes, trustsOutcomes = false, adapter: folder }: JobSpec,
  adapter: Adapter,
  oldFingerprint: () => Promise<string>,
): Promise<KnownOld> {
  if (oldOutcomes || !trustsOutcomes) return givenOutcomes(oldOutcomes);
  const found = await readAdapterOutcomes(folder);
  if (found === null || found.adapterSha256 !== adapterSha256(adapter)) return NOTHING_KNOWN;
  if (found.baseFingerprint !== (await oldFingerprint())) return NOTHING_KNOWN;
  return (subject) => fromRowOutcomes(found.rows, subject);
}

/** Whether a measurement of the old adapter is stored in any precision. */
export function isKnown(
  known: KnownOld,
  { measurements }: ExactGate,
  endOfText: Pick<LoadedBase, 'endOfTextIds'>,
): boolean {
  return PRECISIONS.some((precision) => known(measurements.gateSubject(endOfText, precision)) !== null);
}

/**
 * Stored measurement of the old adapter in the precision in which the gate compares it with candidates on the new base.
 */
export function storedOld(
  { measurements, gate }: ExactGate,
  newBase: LoadedBase,
  known: KnownOld,
): GateMeasurement | null {
  return known(measurements.gateSubject(newBase, oldPrecision(gate, newBase)));
}
