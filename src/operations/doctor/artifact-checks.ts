import { lockArtifact, namedAmong, registerArtifact, type ArtifactStore } from '../../platform/artifacts/index.ts';
import { PART_ADVICE } from '../../platform/base-sources/index.ts';
import { withTransaction, type Database } from '../../platform/database/database.ts';
import { AppError } from '../../platform/contract/errors.ts';
import type { RecordChange } from '../../platform/contract/record-change.ts';
import { createCurrentVersionService, lockAdapter } from '../../fleet/adapters/index.ts';
import { writeAuditEntry } from '../../tenants/audit/index.ts';
import { recordEvent } from '../../delivery/events/index.ts';
import type { Diagnosis } from './findings.ts';
import {
  doctorRepository as repository,
  type NamedArtifact,
  type UploadPart,
  type VersionWith,
} from './doctor.repository.ts';

const PAGE = 500;
/** Number of artifacts that are checked at the same time. Each costs one or two requests to the artifact store. */
const AT_A_TIME = 8;

export interface ArtifactChecks {
  readonly db: Database;
  readonly artifacts: ArtifactStore;
  /** Whether the content of each artifact is read and compared with its digest. */
  readonly verify: boolean;
  /** Smallest age at which stored bytes to which no database row refers count as left behind, in milliseconds. */
  readonly graceMs: number;
}

/** Numbers of artifacts: those that were examined, and those among them that have a problem. */
export interface Tally {
  examined: number;
  wrong: number;
}

/**
 * Checks that the artifact store has the artifacts to which database rows refer, a page of artifacts at a time. Missing
 * and corrupt artifacts count as wrong.
 */
export async function* checkNamed(checks: ArtifactChecks, tally: Tally): AsyncGenerator<Diagnosis> {
  for (let after = ''; ;) {
    const page = await repository.named(checks.db, after, PAGE);
    for (let start = 0; start < page.length; start += AT_A_TIME) {
      const few = page.slice(start, start + AT_A_TIME);
      yield* (await Promise.all(few.map((named) => diagnose(checks, named, tally)))).flat();
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.digest;
  }
}

async function diagnose(checks: ArtifactChecks, named: NamedArtifact, tally: Tally): Promise<Diagnosis[]> {
  const { artifacts } = checks;
  const { digest } = named;
  const bytes = await artifacts.bytesOf(digest);
  const wrong = bytes === null ? null : await problemOf(checks, named, bytes);
  tally.examined += 1;
  if (bytes === null || wrong !== null) tally.wrong += 1;
  if (bytes === null) return consequences(checks, digest, 'gone');
  if (wrong !== null) return [corrupt(checks, digest, wrong), ...(await consequences(checks, digest, 'corrupt'))];
  return named.bytes === null ? [unregistered(checks, named, bytes)] : [];
}

/** Describes what is wrong with an artifact's stored content; null if nothing is. */
async function problemOf(
  { artifacts, verify }: ArtifactChecks,
  { digest, bytes: expected }: NamedArtifact,
  bytes: number,
): Promise<string | null> {
  if (expected !== null && Number(expected) !== bytes) return `it has ${bytes} bytes, expected ${expected}`;
  if (!verify) return null;
  try {
    await artifacts.verify(digest);
    return null;
  } catch (error) {
    if (error instanceof AppError && ['artifact_corrupt', 'artifact_missing'].includes(error.code))
      return error.message;
    throw error;
  }
}

function corrupt({ artifacts }: ArtifactChecks, digest: string, wrong: string): Diagnosis {
  return {
    kind: 'artifact_corrupt',
    subject: digest,
    message: `${digest} is not what it was: ${wrong}`,
    remedy: {
      text: 'put it into quarantine, so that the same content can be stored again',
      apply: async () => void (await artifacts.quarantine(digest)),
    },
  };
}

function unregistered({ db, artifacts }: ArtifactChecks, { digest, kind }: NamedArtifact, bytes: number): Diagnosis {
  return {
    kind: 'artifact_unregistered',
    subject: digest,
    message: `${digest} is named by rows and has none of its own, so the collector would remove it`,
    remedy: {
      text: 'register it',
      apply: () => withTransaction(db, (tx) => registerArtifact(tx, artifacts, { digest, kind, bytes })),
    },
  };
}

/**
 * Finds what a missing or corrupt artifact affects: adapter versions, datasets, evolutions and parts of uploads.
 * Current adapter versions come first, because they have to be replaced before anything else can be done.
 */
async function consequences({ db, artifacts }: ArtifactChecks, digest: string, how: string): Promise<Diagnosis[]> {
  const versions = await repository.versionsWith(db, digest);
  const datasets = await repository.datasetsWith(db, digest);
  const evolutions = await repository.evolutionsWith(db, digest);
  const parts = await repository.uploadPartsWith(db, digest);
  const found = [
    ...versions.filter(({ current_on: base }) => base !== null).map((version) => currentGone(db, version, how)),
    ...versions.map((version) => versionGone(db, version, how)),
    ...datasets.map((dataset) => datasetGone(dataset, how)),
    ...evolutions.map(({ id }) => evolutionGone(db, { id, digest }, how)),
    ...parts.map((part) => partGone(db, { digest, part }, how)),
  ];
  return found.map((diagnosis) => unlessStored(artifacts, digest, diagnosis));
}

/**
 * Changes a repair so that it is skipped if the same content has been uploaded again in the meantime. Corrupt content
 * has been moved into quarantine by then, so it does not count as stored.
 */
function unlessStored(artifacts: ArtifactStore, digest: string, { remedy, ...found }: Diagnosis): Diagnosis {
  if (remedy === null) return { ...found, remedy };
  const apply = async () => {
    if (!(await artifacts.has(digest))) await remedy.apply();
  };
  return { ...found, remedy: { ...remedy, apply } };
}

const SEND_AGAIN = 'copy it from a backup, or send the same content again, which has the same digest';

function currentGone(db: Database, version: VersionWith, how: string): Diagnosis {
  const { id, adapter_id: adapterId, current_on: baseModelVersionId } = version;
  return {
    kind: 'current_version_gone',
    subject: id,
    message: `version ${id} of adapter ${adapterId} is current on ${baseModelVersionId}, and its files are ${how}`,
    remedy: {
      text: 'make it not current: nothing of this adapter is served there until another version is made current',
      apply: async () => {
        const set = { version_id: null, expected_version_id: id };
        const key = { adapterId, baseModelVersionId: baseModelVersionId! };
        await createCurrentVersionService({ db }).set(key, set, null, recordedAs('setCurrentVersion'));
      },
    },
  };
}

function versionGone(db: Database, version: VersionWith, how: string): Diagnosis {
  const { id, adapter_id: adapterId, number, origin } = version;
  const found = {
    kind: 'version_gone',
    subject: id,
    message: `the files of version ${number} (${id}, ${origin}) of adapter ${adapterId} are ${how}`,
  } as const;
  if (origin === 'imported') return { ...found, remedy: null, advice: SEND_AGAIN };
  const text =
    'delete it, as its tenant could, so that a rollout makes it again; it can be undeleted while its grace time lasts';
  return { ...found, remedy: { text, apply: () => setAside(db, version) } };
}

function setAside(
  db: Database,
  { id, tenant_id: tenantId, adapter_id: adapterId, number }: VersionWith,
): Promise<void> {
  return withTransaction(db, async (tx) => {
    await lockAdapter(tx, adapterId);
    if (!(await repository.setAside(tx, id))) return;
    const data = { adapter_id: adapterId, number };
    await recordEvent(tx, { tenantId, type: 'adapter_version.deleted', subjectId: id, data });
    await recordedAs('deleteAdapterVersion')(tx, { tenantId, subjectId: id, before: data, after: null });
  });
}

function datasetGone({ id, tenantId, name }: { id: string; tenantId: string; name: string }, how: string): Diagnosis {
  const message = `the rows of dataset ${name} (${id}) of tenant ${tenantId} are ${how}, so jobs of its adapters fail`;
  return { kind: 'dataset_gone', subject: id, message, remedy: null, advice: SEND_AGAIN };
}

function evolutionGone(db: Database, { id, digest }: { id: string; digest: string }, how: string): Diagnosis {
  return {
    kind: 'evolution_gone',
    subject: id,
    message: `the files of evolution ${id} are ${how}, so rollouts between its base model versions fail`,
    remedy: {
      text: 'forget it, so that the next rollout computes it again',
      apply: () => repository.forgetEvolution(db, id, digest),
    },
  };
}

function partGone(db: Database, { digest, part }: { digest: string; part: UploadPart }, how: string): Diagnosis {
  const { upload_id: id, file_name: file, number, state } = part;
  const message = `part ${number} of ${file} of base model upload ${id}, which is ${state}, is ${how}`;
  const found = { kind: 'base_part_gone', subject: id, message } as const;
  if (state !== 'open') return { ...found, remedy: null, advice: `workers cannot fetch the file: ${PART_ADVICE}` };
  const text = 'forget it, so that `readapt base-versions upload` sends it again';
  return { ...found, remedy: { text, apply: () => repository.forgetUploadPart(db, digest, part) } };
}

/**
 * Creates the function that records a repair in the audit log. The entry looks as if somebody had run, from the command
 * line, the operation of the API that does the same as the repair.
 */
const recordedAs =
  (operation: string): RecordChange =>
  (tx, change) =>
    writeAuditEntry(tx, { ...change, actor: { kind: 'command', keyId: null }, operation, requestId: null });

/**
 * Finds bytes in the artifact store without a row in the database, and counts them as wrong. Bytes younger than the
 * grace time are passed over, because they may be about to get a row.
 */
export async function* checkStored(
  { db, artifacts, graceMs }: ArtifactChecks,
  tally: Tally,
): AsyncGenerator<Diagnosis> {
  let old: string[] = [];
  const flush = async (): Promise<Diagnosis[]> => {
    const named = await namedAmong(db, old);
    const unnamed = old.filter((digest) => !named.has(digest));
    tally.examined += old.length;
    tally.wrong += unnamed.length;
    old = [];
    return unnamed.map((digest) => unnamedArtifact(db, artifacts, digest));
  };
  for await (const { digest, storedAt } of artifacts.list()) {
    if (Date.now() - storedAt.getTime() >= graceMs) old.push(digest);
    if (old.length === PAGE) yield* await flush();
  }
  yield* await flush();
}

function unnamedArtifact(db: Database, artifacts: ArtifactStore, digest: string): Diagnosis {
  return {
    kind: 'artifact_unnamed',
    subject: digest,
    message: `${digest} is in the store, and no row names it`,
    remedy: {
      text: 'put it into quarantine; without that, the collector removes it a day after it was stored',
      apply: async () => {
        // The quarantine asks for the ownership inside a transaction that holds the only connection, so cache it
        // beforehand.
        await artifacts.ownership.problem();
        await withTransaction(db, async (tx) => {
          await lockArtifact(tx, digest);
          // The artifact may have got a row in the meantime.
          if (!(await namedAmong(tx, [digest])).has(digest)) await artifacts.quarantine(digest);
        });
      },
    },
  };
}
