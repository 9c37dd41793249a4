import type { TaskData } from '../../data/task-data.ts';
import type { GateMeasurement } from '../../method/gate/readiness-gate.ts';
import type { Adapter } from '../../models/lora/adapter.ts';
import type { JobSettings } from '../../options/job-settings.ts';
import type { JobContext } from '../job-context.ts';
import type { ExactGate } from '../measurements/exact-gate.ts';
import type { GateBreakdown } from '../measurements/gate-breakdown.ts';
import type { Measurements } from '../measurements/measurements.ts';
import type { ReferenceVersion } from '../measurements/reference-version.ts';
import type { NewBase } from './new-base.ts';

/** What a job has loaded before its ladder begins. */
export interface Prepared {
  readonly context: JobContext;
  readonly measurements: Measurements;
  readonly exact: ExactGate;
  readonly data: TaskData;
  readonly settings: JobSettings;
  readonly breakdown: GateBreakdown;
  /** Whether a version has written the answers of the rows, which came without. */
  readonly hasWritten: boolean;
  readonly newBase: NewBase;
  readonly oldAdapter: Adapter;
  readonly reference: ReferenceVersion;
  /** How the reference did on its base, where the target depends on it and that was not known. */
  readonly compared: GateMeasurement | null;
}

/** The part of what a job has loaded that loading the new base needs. */
export type LoadedJob = Pick<Prepared, 'data' | 'oldAdapter' | 'reference'>;
