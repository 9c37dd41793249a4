import type { LoadedBase } from '../../engine/base-cache.ts';
import { readAdapterOutcomes } from '../../formats/peft/adapter-outcomes.ts';
import { adapterSha256 } from '../../formats/peft/peft-adapter-writer.ts';
import type { GateMeasurement } from '../../method/gate/readiness-gate.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import { PRECISIONS } from '../../options/precisions.ts';
import type { JobSpec } from '../job-spec.ts';
import { measureOldForGate, oldPrecision, type ExactGate } from './exact-gate.ts';
import { fromOutcomes, fromRowOutcomes, toOutcomes, type GateOutcomes, type OutcomesSubject } from './gate-outcomes.ts';

/** Measurement of the old adapter on the old base, with its outcomes in the form in which later jobs use them. */
export interface OldVersion {
  readonly measured: GateMeasurement;
  /** Outcomes of the gate rows, to be stored for later jobs; null if the metric is not a finite number. */
  readonly outcomes: GateOutcomes | null;
}

/**
 * Measures the old adapter on the old base and the gate rows. Unless the gate is absolute, also measures it on the
 * search rows, because adapters in training are compared with it there.
 */
export async function measureOld(exact: ExactGate, oldBase: LoadedBase, adapter: Adapter): Promise<OldVersion> {
  const onGate = await measureOldForGate(exact, oldBase, adapter);
  const isCompared = exact.gate.kind !== 'absolute';
  const measured = isCompared ? { ...onGate, onSearch: await exact.measurements.onSearch(oldBase, adapter) } : onGate;
  if (!Number.isFinite(measured.metric.value)) return { measured, outcomes: null };
  const precision = measured.judgedIn ?? oldPrecision(exact.gate, oldBase);
  return { measured, outcomes: toOutcomes(measured, exact.measurements.gateSubject(oldBase, precision)) };
}

/**
 * Function that returns a stored measurement of an earlier version on its own base, made with the given inputs; null if
 * none is stored.
 */
export type KnownOld = (subject: OutcomesSubject) => GateMeasurement | null;

const NOTHING_KNOWN: KnownOld = () => null;

export function givenOutcomes(given: GateOutcomes | null | undefined): KnownOld {
  return (subject) => (given ? fromOutcomes(given, subject) : null);
}

/**
 * Returns a function that looks up stored measurements of the old adapter. It uses the outcomes that the job was given.
 * If the job was given none, but trusts the outcomes that are stored beside the adapter, the function uses those.
 * @param oldFingerprint returns the fingerprint of the old base's weights
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

/** Whether a measurement of an earlier version on all gate rows is stored, in any precision. */
export function isKnown(
  known: KnownOld,
  { measurements }: ExactGate,
  endOfText: Pick<LoadedBase, 'endOfTextIds'>,
): boolean {
  return PRECISIONS.some((precision) => {
    const stored = known(measurements.gateSubject(endOfText, precision));
    return stored !== null && isWhole(stored);
  });
}

/** Whether a measurement covers all gate rows. Candidates are compared only with measurements that do. */
export const isWhole = ({ metric }: GateMeasurement): boolean => metric.available === undefined;

/**
 * Returns the stored measurement of an earlier version, in the precision in which the gate compares the version with
 * candidates on the new base; null if none is stored in this precision.
 */
export function storedOld(
  { measurements, gate }: ExactGate,
  newBase: LoadedBase,
  known: KnownOld,
): GateMeasurement | null {
  return known(measurements.gateSubject(newBase, oldPrecision(gate, newBase)));
}
