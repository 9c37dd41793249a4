import type { TaskData } from '../../data/task-data.ts';
import type { LoadedBase } from '../../engine/base-cache.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { Precision } from '../../options/precisions.ts';
import type { JobAttempt } from '../job-report.ts';
import type { ReferenceVersion, VersionMeasurement } from '../measurements/reference-version.ts';
import { objectionToLosses } from './job-precision.ts';
import { NewBase } from './new-base.ts';

/**
 * Rows and versions that loading the new base needs: to measure the reference, and to test whether int8 is exact
 * enough.
 */
interface ComparedVersions {
  readonly data: TaskData;
  readonly oldAdapter: Adapter;
  readonly reference: ReferenceVersion;
}

export interface LoadedNewBase {
  readonly newBase: NewBase;
  /**
   * Measurement of the reference on its own base. Null if none was needed now: the measurement is stored, or candidates
   * are not compared with a reference.
   */
  readonly compared: VersionMeasurement | null;
}

/**
 * Loads the new base. If the reference has to be measured on its own base, it is measured first, so that memory need
 * not hold both bases. Both bases get the same precision. If no precision is given, one is chosen for each base. If the
 * two choices differ, or if rows of the task show that int8 is too inexact, both bases are loaded in float32 or, where
 * memory does not suffice for float32, in int8.
 * @param precision precision of both bases. Default: chosen for each base
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
 * Compares losses in int8 with losses in float32 on rows of the task, and warns if they differ too much.
 * @returns whether the job has to be computed in float32. That takes three things: the losses differ too much, the
 * precision may be chosen, and float32 fits into memory
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
