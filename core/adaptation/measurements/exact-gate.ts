import type { BaseCache, LoadedBase } from '../../engine/base-cache.ts';
import { reaches } from '../../method/gate/evidence.ts';
import { estimateOnAll } from '../../method/gate/measured-rows.ts';
import { endOfLook, type Gate, type GateLook, type GateMeasurement } from '../../method/gate/readiness-gate.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { Precision } from '../../options/precisions.ts';
import type { Measurements } from './measurements.ts';

export interface ExactGate {
  readonly bases: BaseCache;
  readonly measurements: Measurements;
  readonly gate: Gate;
}

/**
 * Measures an adapter on the gate rows: on all of them or, if the measurement ends early, on the first ones. A relative
 * gate compares the candidate with the earlier version in the job's precision. An absolute gate's target concerns the
 * adapter as it will be served, so a candidate that reaches the target in int8 is measured again in float32, and the
 * second measurement decides.
 * @returns the measurement that decides, whose `judgedIn` names its precision; the one in int8 if float32 does not fit
 * into memory
 */
export async function measureForGate(
  { bases, measurements, gate }: ExactGate,
  { base, adapter }: { readonly base: LoadedBase; readonly adapter: Adapter },
  { reference, look }: GateLook,
): Promise<GateMeasurement> {
  const ends = (found: GateMeasurement) => endOfLook(gate, reference, estimateOnAll(found, reference), look) !== null;
  const measure = async (on: LoadedBase) => estimateOnAll(await measurements.lookAtGate(on, adapter, ends), reference);
  if (gate.kind !== 'absolute' || !needsFloat32(gate, base)) return measure(base);
  const measured = await measure(base);
  if (!reaches(gate.metric, measured.metric.value, gate.target)) return measured;
  return (await bases.withFloat32(base, (runtime) => measure(inFloat32(base, runtime)))) ?? measured;
}

/**
 * Measures the old version on its own base, in the precision in which the gate compares candidates with it: float32 for
 * an absolute gate and a base in int8, if memory suffices, and otherwise the precision of the base.
 */
export async function measureOldForGate(
  exact: ExactGate,
  base: LoadedBase,
  adapter: Adapter,
): Promise<GateMeasurement> {
  const { bases, measurements, gate } = exact;
  const inPlace = () => measurements.onGate(base, adapter);
  if (!needsFloat32(gate, base)) return inPlace();
  return (
    (await bases.withFloat32(base, (runtime) => measurements.onGate(inFloat32(base, runtime), adapter))) ?? inPlace()
  );
}

/** Returns the precision in which {@link measureOldForGate} measures the old version, provided that memory suffices. */
export function oldPrecision(gate: Gate, base: LoadedBase): Precision {
  return needsFloat32(gate, base) ? 'f32' : base.precision.precision;
}

function needsFloat32({ kind }: Gate, { precision }: LoadedBase): boolean {
  return kind === 'absolute' && precision.precision === 'int8';
}

function inFloat32(base: LoadedBase, runtime: LoadedBase['runtime']): LoadedBase {
  return { ...base, runtime, precision: { ...base.precision, precision: 'f32' } };
}
