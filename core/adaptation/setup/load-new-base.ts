import type { TaskData } from '../../data/task-data.ts';
import type { LoadedBase } from '../../engine/base-cache.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { Precision } from '../../options/precisions.ts';
import type { JobAttempt } from '../job-report.ts';
import type { ReferenceVersion, VersionMeasurement } from '../measurements/reference-version.ts';
import { objectionToLosses } from './job-precision.ts';
import { NewBase } from './new-base.ts';

/** Rows and versions on which the loading of a job's new base depends. */
interface ComparedVersions {
  readonly data: TaskData;
  readonly oldAdapter: Adapter;
  readonly reference: ReferenceVersion;
}

export interface LoadedNewBase {
  readonly newBase: NewBase;
  /** Measurement of the reference on its own base; null if the target does not depend on it, or if it was known. */
  readonly compared: VersionMeasurement | null;
}

/**
 * Loads the new base. If the target depends on the reference and its outcomes are not known, it first measures the
 * reference on its base, so that this base can make room for the new one. Both are computed in the same precision: in
 * float32 if the automatic choices differ, or if rows of the task show that int8 is too inexact, given enough memory.
 * @param precision default: chosen for each base
 */
export async function loadNewBase(
  attempt: JobAttempt,
  versions: ComparedVersions,
  precision?: Precision,
): Promise<LoadedNewBase> {
  const { bases, spec } = attempt;
  const { reference } = versions;
  const compared = reference.isUnknown() ? await reference.measure(precision) : null;
  const loaded = await bases.load(spec.newBase, precision);
  const newBase = new NewBase(bases, loaded, precision);
  if (precision !== undefined) return { newBase, compared };
  const holdsFloat32 = bases.memory.holdsFloat32(loaded.model.config);
  const differs = compared !== null && compared.precision !== newBase.precision;
  if (differs) return loadNewBase(attempt, versions, holdsFloat32 ? 'f32' : 'int8');
  const refused = await refusesInt8(attempt, loaded, versions, holdsFloat32);
  return refused ? loadNewBase(attempt, versions, 'f32') : { newBase, compared };
}

/**
 * Compares int8 with float32 on rows of the task. If int8 was requested, or there is no memory for float32, an
 * objection is only a warning.
 * @returns whether the job has to be computed in float32
 */
async function refusesInt8(
  { bases, report }: JobAttempt,
  base: LoadedBase,
  { oldAdapter, data }: ComparedVersions,
  holdsFloat32: boolean,
): Promise<boolean> {
  const objection = await objectionToLosses({ bases, base, adapter: oldAdapter, rows: data.search });
  if (objection === null) return false;
  const { chooses } = bases;
  const consequence = holdsFloat32
    ? 'the job is computed in float32'
    : 'the job stays in int8, because float32 does not fit into the memory';
  const message = `on rows of this task, ${objection}`;
  report.warn(chooses ? `${message}: ${consequence}` : message);
  return chooses && holdsFloat32;
}
