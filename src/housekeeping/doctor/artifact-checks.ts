import { lockArtifact, namedAmong, registerArtifact, type ArtifactStore } from '../../artifacts/index.ts';
import { withTransaction, type Database } from '../../lib/database.ts';
import { AppError } from '../../lib/errors.ts';
import type { RecordChange } from '../../lib/record-change.ts';
import { createCurrentVersionService } from '../../modules/adapters/index.ts';
import { writeAuditEntry } from '../../modules/audit/index.ts';
import type { Diagnosis } from './findings.ts';
import { doctorRepository as repository, type CurrentUse, type NamedArtifact } from './doctor.repository.ts';

const PAGE = 500;
/** Artifacts that are looked at at a time, each with a request or two of the store. */
const AT_A_TIME = 8;

export interface ArtifactChecks {
  readonly db: Database;
  readonly artifacts: ArtifactStore;
  /** Whether the content is read and compared with its digest. */
  readonly verify: boolean;
  /** Age from which stored bytes that no row names count as left behind, in milliseconds. */
  readonly graceMs: number;
}

/** Compares what rows name with what is stored, a page at a time. */
export async function* checkNamed(checks: ArtifactChecks): AsyncGenerator<Diagnosis> {
  for (let after = ''; ;) {
    const page = await repository.named(checks.db, after, PAGE);
    for (let start = 0; start < page.length; start += AT_A_TIME) {
      const few = page.slice(start, start + AT_A_TIME);
      yield* (await Promise.all(few.map((named) => diagnose(checks, named)))).flat();
    }
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.digest;
  }
}

async function diagnose(checks: ArtifactChecks, named: NamedArtifact): Promise<Diagnosis[]> {
  const { artifacts } = checks;
  const { digest } = named;
  const bytes = await artifacts.bytesOf(digest);
  if (bytes === null) return [await missing(checks, digest), ...(await consequences(checks, digest, 'gone'))];
  const wrong = await problemOf(checks, named, bytes);
  if (wrong !== null) return [await corrupt(checks, digest, wrong), ...(await consequences(checks, digest, 'corrupt'))];
  return named.bytes === null ? [unregistered(checks, named, bytes)] : [];
}

/** What is wrong with stored content; null if nothing is. */
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

async function missing({ db }: ArtifactChecks, digest: string): Promise<Diagnosis> {
  const users = await repository.users(db, digest);
  return {
    kind: 'artifact_missing',
    subject: digest,
    message: `${digest} is named by ${users.join(', ')} and is not in the store`,
    remedy: null,
    advice: 'copy it from a backup, or send the same rows or files again: the same content has the same digest',
  };
}

async function corrupt({ db, artifacts }: ArtifactChecks, digest: string, wrong: string): Promise<Diagnosis> {
  const users = await repository.users(db, digest);
  return {
    kind: 'artifact_corrupt',
    subject: digest,
    message: `${digest}, which ${users.join(', ')} name, is not what it was: ${wrong}`,
    remedy: {
      text: 'put it into quarantine, so that the same content can be stored again',
      apply: async () => void (await artifacts.quarantine(digest)),
    },
    advice: 'then copy it from a backup, or send the same rows or files again',
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

/** What else is wrong because an artifact is: what engines should load, and what rollouts would reuse. */
async function consequences({ db }: ArtifactChecks, digest: string, how: string): Promise<Diagnosis[]> {
  const current = (await repository.currentWith(db, digest)).map((use) => currentGone(db, use, how));
  const evolutions = (await repository.evolutionsWith(db, digest)).map(({ id }): Diagnosis => {
    return {
      kind: 'evolution_gone',
      subject: id,
      message: `the files of evolution ${id} are ${how}, so rollouts between its base model versions fail`,
      remedy: {
        text: 'forget it, so that the next rollout computes it again',
        apply: () => repository.forgetEvolution(db, id, digest),
      },
    };
  });
  return [...current, ...evolutions];
}

function currentGone(db: Database, use: CurrentUse, how: string): Diagnosis {
  const { adapter_id: adapterId, base_model_version_id: baseModelVersionId, adapter_version_id: version } = use;
  return {
    kind: 'current_version_gone',
    subject: version,
    message: `version ${version} of adapter ${adapterId} is current on ${baseModelVersionId}, and its files are ${how}`,
    remedy: {
      text: 'make it not current: nothing of this adapter is served there until another version is made current',
      apply: async () => {
        const set = { version_id: null, expected_version_id: version };
        const key = { adapterId, baseModelVersionId };
        await createCurrentVersionService({ db }).set(key, set, null, recordCommand);
      },
    },
  };
}

/** The audit log shows that somebody at the command line has done what the API does in this operation. */
const recordCommand: RecordChange = (tx, change) =>
  writeAuditEntry(tx, {
    ...change,
    actor: { kind: 'command', keyId: null },
    operation: 'setCurrentVersion',
    requestId: null,
  });

/** Finds stored bytes without a row, of which the younger ones may be about to get one. */
export async function* checkStored({ db, artifacts, graceMs }: ArtifactChecks): AsyncGenerator<Diagnosis> {
  let old: string[] = [];
  const flush = async (): Promise<Diagnosis[]> => {
    const named = await namedAmong(db, old);
    const unnamed = old.filter((digest) => !named.has(digest));
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
      apply: () =>
        withTransaction(db, async (tx) => {
          await lockArtifact(tx, digest);
          // It may have been registered since it was found.
          if (!(await namedAmong(tx, [digest])).has(digest)) await artifacts.quarantine(digest);
        }),
    },
  };
}
