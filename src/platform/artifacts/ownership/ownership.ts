import type { Database } from '../../database/database.ts';
import type { ArtifactStore } from '../artifact-store.ts';
import { namedAmong, sampleDigests } from '../artifact.repository.ts';
import { installationRepository as repository, type Owner } from './installation.repository.ts';
import { OWNER_MARK, type MarkPlace } from './owner-mark.ts';
import type { OwnershipProblem, StoreOwnership } from './store-ownership.ts';

export interface OwnershipOptions {
  readonly db: Database;
  readonly store: Pick<ArtifactStore, 'list' | 'has'>;
  readonly mark: MarkPlace;
  /**
   * Tells whether the folder or bucket has the marker of a store. With the marker, a store without artifacts may be
   * taken over; without it, an empty folder may be one whose file system is not mounted.
   */
  readonly isBegun: () => Promise<boolean>;
  /** Whether this process may create a store where there is none yet. */
  readonly begins: boolean;
  /**
   * Whether this process may record the database as the store's owner. If not, the check only reports what a process
   * with that right would find.
   */
  readonly marks: boolean;
  /** Environment variable that configures the place of the store, for messages. */
  readonly setting: string;
}

const KEPT_MS = 10_000;
/**
 * Largest number of a store's artifacts that are looked for in the database, to find out whether the store belongs to
 * the database.
 */
const SAMPLE = 500;

/** Result of a check of the store's owner, with the time of the check in milliseconds by `performance.now()`. */
interface Answer {
  readonly at: number;
  readonly problem: OwnershipProblem | null;
}

/**
 * Creates the check that compares the mark of a store with the database. A store without a mark is taken over if it is
 * empty, or if the database names at least half of a sample of its artifacts. A smaller part is not enough, because a
 * database that was used with the wrong store may have stored some artifacts there by mistake.
 */
export function createOwnership(options: OwnershipOptions): StoreOwnership {
  // The last answer stays available while the next one is awaited: a caller within a transaction may hold the
  // connection that the next check needs.
  let known: Answer | null = null;
  let asked: Promise<Answer> | null = null;
  const ask = (): Promise<Answer> => {
    const at = performance.now();
    const now = examine(options).then((problem) => ({ at, problem }));
    asked = now;
    const end = (answer: Answer | null): void => {
      if (asked !== now) return;
      asked = null;
      known = answer ?? known;
    };
    now.then(end, () => end(null));
    return now;
  };
  return {
    async problem(atMostMs = KEPT_MS) {
      if (known !== null && performance.now() - known.at <= atMostMs) return known.problem;
      return (await (asked ?? ask())).problem;
    },
    async adopt() {
      await options.mark.replace(await repository.owner(options.db));
      [known, asked] = [null, null];
    },
  };
}

async function examine(options: OwnershipOptions): Promise<OwnershipProblem | null> {
  const { mark } = options;
  const own = await repository.owner(options.db);
  const found = await mark.read();
  if (found !== null) return compare(found, own, options);
  const problem = await problemOfUnmarked(options);
  if (problem !== null || !options.marks) return problem;
  // Another process may be faster. On a full disk, a later check writes the mark.
  await mark.create(own).catch(() => undefined);
  const written = await mark.read();
  return written === null ? unmarked() : compare(written, own, options);
}

async function problemOfUnmarked(options: OwnershipOptions): Promise<OwnershipProblem | null> {
  const { db, isBegun, begins, setting } = options;
  const { isEmpty, isNamed } = await lookInto(options);
  if (isNamed) return null;
  if (!isEmpty) return (await hasNamed(options)) ? withMore() : unknown(setting);
  // An empty folder may also be one whose file system is not mounted.
  if (await isBegun()) return null;
  return begins && (await sampleDigests(db)).length === 0 ? null : unmarked();
}

/**
 * Tells from a sample of the store's artifacts whether the store is empty, and whether the database names at least half
 * of the sample.
 */
async function lookInto({ db, store }: OwnershipOptions): Promise<{ isEmpty: boolean; isNamed: boolean }> {
  const stored: string[] = [];
  for await (const { digest } of store.list()) if (stored.push(digest) === SAMPLE) break;
  const isEmpty = stored.length === 0;
  return { isEmpty, isNamed: !isEmpty && 2 * (await namedAmong(db, stored)).size >= stored.length };
}

/**
 * Whether the store has at least half of a sample of the artifacts that the database names; false if the database names
 * none.
 */
async function hasNamed({ db, store }: OwnershipOptions): Promise<boolean> {
  const digests = await sampleDigests(db);
  const present = await Promise.all(digests.map((digest) => store.has(digest)));
  return digests.length > 0 && 2 * present.filter(Boolean).length >= digests.length;
}

async function compare(
  mark: Owner | 'damaged',
  own: Owner,
  options: OwnershipOptions,
): Promise<OwnershipProblem | null> {
  const { setting } = options;
  if (mark === 'damaged') {
    const problem = await problemOfUnmarked(options);
    return problem?.isForeign === true ? problem : damaged();
  }
  if (mark.installation !== own.installation) return another(mark, own, setting);
  return mark.database === own.database ? null : copied(setting);
}

function another(mark: Owner, own: Owner, setting: string): OwnershipProblem {
  const message =
    `the artifact store belongs to installation ${mark.installation}, and the database is that of installation ` +
    `${own.installation}, so nothing is stored or removed: check ${setting} and DATABASE_URL; if they belong ` +
    'together, run `readapt doctor --adopt`';
  return { message, isForeign: true };
}

const whichGoesOn = (setting: string): string =>
  'if this database has taken the place of that one, run `readapt doctor --adopt`; if it is a copy for something ' +
  `else, give it a store of its own (${setting}), or check DATABASE_URL`;

function copied(setting: string): OwnershipProblem {
  const message =
    'the artifact store belongs to another copy of this database, so nothing is removed from it: ' +
    whichGoesOn(setting);
  return { message, isForeign: false };
}

function unknown(setting: string): OwnershipProblem {
  const message =
    `the artifact store has no valid ${OWNER_MARK}, and the database does not name most of what is in it, so nothing ` +
    `is stored or removed: check ${setting} and DATABASE_URL; if they belong together, run \`readapt doctor --adopt\``;
  return { message, isForeign: true };
}

function withMore(): OwnershipProblem {
  const message =
    `the artifact store has no valid ${OWNER_MARK}; it has what the database names, and more that it does not name, ` +
    'as one does that was restored from a backup folder with earlier artifacts, so nothing is removed: run `readapt ' +
    'doctor --adopt --accept-losses`, and workers remove the rest';
  return { message, isForeign: false };
}

function damaged(): OwnershipProblem {
  const message =
    `the file or object ${OWNER_MARK} in the artifact store cannot be read as one, so nothing is removed: if the ` +
    'store belongs to this database, run `readapt doctor --adopt`, which writes it anew';
  return { message, isForeign: false };
}

function unmarked(): OwnershipProblem {
  const message = `the artifact store has no ${OWNER_MARK} yet, which an API writes, so nothing is removed from it`;
  return { message, isForeign: false };
}
