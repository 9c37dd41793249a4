import { readModelConfig } from '../../../core/formats/hugging-face/model-weights.ts';
import type { ArtifactStore } from '../../platform/artifacts/index.ts';
import { SetupError } from '../../platform/config/setup-error.ts';
import { SETTINGS } from '../../platform/config/settings.ts';
import type { Database } from '../../platform/database/database.ts';
import { checkNamed, checkStored, type Tally } from './artifact-checks.ts';
import { doctorRepository as repository } from './doctor.repository.ts';
import type { Diagnosis, Finding } from './findings.ts';

export interface ExaminationOptions {
  db: Database;
  artifacts: ArtifactStore;
  /** Reads the content of all artifacts and compares it with their digests (default false). */
  verify?: boolean;
  /** Carries out the repairs that the findings propose (default false). */
  mend?: boolean;
  /** Makes this database the owner of the store (default false). */
  adopt?: boolean;
  /**
   * Allows repairs, or a change of the owner, even if most artifacts are missing, corrupt or without a row (default
   * false).
   */
  acceptLosses?: boolean;
  /**
   * Smallest age at which stored bytes to which no database row refers count as left behind, in milliseconds (default
   * an hour).
   */
  graceMs?: number;
}

const HOUR_MS = 3_600_000;
/** Age at which unfinished work is reported, in milliseconds. A worker's sweep normally takes it up within seconds. */
const STALE_MS = 600_000;

/**
 * Looks for inconsistencies between the database and the artifact store. It repairs nothing unless `mend` or `adopt` is
 * set, and even then deletes no artifact. It may run beside the service.
 *  Repairs begin after all checks. They are refused if most artifacts are wrong, because a wrong store or database is
 * then more likely than lost artifacts.
 *
 * @throws AppError `storage_away`; SetupError `most_artifacts_wrong`, or `artifact_store_not_owned` with `mend` but
 * without `adopt`; the system's error if the store cannot be read
 */
export async function* examine(options: ExaminationOptions): AsyncGenerator<Finding> {
  const {
    db,
    artifacts,
    verify = false,
    mend = false,
    adopt = false,
    acceptLosses = false,
    graceMs = HOUR_MS,
  } = options;
  const checks = { db, artifacts, verify, graceMs };
  const [named, stored] = [emptyTally(), emptyTally()];
  const diagnoses: Diagnosis[] = [];
  const problem = await artifacts.ownership.problem();
  if (mend && !adopt && problem !== null) throw notOwned(problem.message);
  if (problem !== null) diagnoses.push(storeNotOwned(artifacts, problem.message));
  for (const check of [checkNamed(checks, named), checkStored(checks, stored), checkBases(db), checkWork(db)]) {
    for await (const one of check) diagnoses.push(one);
  }
  if ((mend || adopt) && !acceptLosses) {
    refuseMost(named, 'of the artifacts that the database names are gone or corrupt');
    refuseMost(stored, 'of the stored artifacts are named by nobody');
  }
  for (const { remedy, ...found } of diagnoses) {
    const applies = remedy !== null && (found.kind === 'store_not_owned' ? adopt : mend);
    if (applies) await remedy.apply();
    yield { ...found, mend: remedy?.text ?? null, mended: applies };
  }
}

function storeNotOwned({ ownership }: ArtifactStore, message: string): Diagnosis {
  const remedy = {
    text: 'make the store belong to this database, whose workers then remove what it does not name',
    apply: () => ownership.adopt(),
  };
  return { kind: 'store_not_owned', subject: 'artifacts', message, remedy };
}

function notOwned(message: string): SetupError {
  return new SetupError('artifact_store_not_owned', `nothing was changed: ${message}`, { badInput: true });
}

const emptyTally = (): Tally => ({ examined: 0, wrong: 0 });

/**
 * Refuses all repairs if at least two artifacts, and more than half of those examined, are wrong.
 * @throws SetupError `most_artifacts_wrong`
 */
function refuseMost({ examined, wrong }: Tally, what: string): void {
  if (wrong < 2 || 2 * wrong <= examined) return;
  throw new SetupError(
    'most_artifacts_wrong',
    `nothing was changed: ${wrong} of ${examined} ${what}, as where the store or the database is another ` +
      `one. Check DATABASE_URL, ` +
      `${SETTINGS.artifacts.variable} and READAPT_DATA_DIR, and look at the report without --mend; if they are lost, ` +
      `add --accept-losses`,
    { badInput: true },
  );
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

/** Finds jobs that a running worker would long have taken over or added to the queue. */
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
