import { readModelConfig } from '../../../core/formats/hugging-face/model-weights.ts';
import type { ArtifactStore } from '../../artifacts/index.ts';
import type { Database } from '../../lib/database.ts';
import { checkNamed, checkStored } from './artifact-checks.ts';
import { doctorRepository as repository } from './doctor.repository.ts';
import type { Diagnosis, Finding } from './findings.ts';

export interface ExaminationOptions {
  db: Database;
  artifacts: ArtifactStore;
  /** Reads all artifacts and compares them with their digests (default false). */
  verify?: boolean;
  /** Does what the findings say it would do (default false). */
  mend?: boolean;
  /** Age from which stored bytes that no row names count as left behind (default an hour), in milliseconds. */
  graceMs?: number;
}

const HOUR_MS = 3_600_000;
/** A worker's sweep does what is to be done every few seconds. */
const STALE_MS = 600_000;

/**
 * Looks for what does not fit together in the database and the artifact store. It changes nothing unless it is to mend, and even then
 * it deletes no artifact. It may run beside the service.
 *
 * @throws AppError `storage_away`; the system's error if the store cannot be read
 */
export async function* examine(options: ExaminationOptions): AsyncGenerator<Finding> {
  const { db, artifacts, verify = false, mend = false, graceMs = HOUR_MS } = options;
  const checks = { db, artifacts, verify, graceMs };
  for (const check of [checkNamed(checks), checkStored(checks), checkBases(db), checkWork(db)]) {
    for await (const { remedy, ...found } of check) {
      if (mend) await remedy?.apply();
      yield { ...found, mend: remedy?.text ?? null, mended: mend && remedy !== null };
    }
  }
}

async function* checkBases(db: Database): AsyncGenerator<Diagnosis> {
  for (const { id, version, path } of await repository.bases(db)) {
    const problem = await readModelConfig(path).then(
      () => null,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    if (problem === null) continue;
    yield {
      kind: 'base_unreadable',
      subject: id,
      message: `base model version ${version} (${id}) cannot be read here: ${problem}`,
      remedy: null,
      advice: `workers need the folder ${path}: restore or mount it, if this machine has the workers’ folders`,
    };
  }
}

/** What running workers would have done long ago. */
async function* checkWork(db: Database): AsyncGenerator<Diagnosis> {
  const rest = { remedy: null, advice: 'start a worker: it does so within seconds' };
  for (const { id, owner } of await repository.staleLeases(db, STALE_MS)) {
    const message = `job ${id} is held by ${owner ?? 'a worker'}, who has been silent for more than ten minutes`;
    yield { kind: 'lease_stale', subject: id, message, ...rest };
  }
  for (const { job_id: id, queue } of await repository.staleOutbox(db, STALE_MS)) {
    const message = `${id} has waited for more than ten minutes to be put into the queue ${queue}`;
    yield { kind: 'outbox_stale', subject: id, message, ...rest };
  }
}
