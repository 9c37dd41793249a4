import type { Database } from '../../lib/database.ts';
import type { ArtifactStore } from '../artifact-store.ts';
import { namedAmong, sampleDigests } from '../artifact.repository.ts';
import { installationRepository as repository, type Owner } from './installation.repository.ts';
import { OWNER_MARK, type MarkPlace } from './owner-mark.ts';
import type { OwnershipProblem, StoreOwnership } from './store-ownership.ts';

export interface OwnershipOptions {
  readonly db: Database;
  readonly store: Pick<ArtifactStore, 'list'>;
  readonly mark: MarkPlace;
  /** Whether the store has been begun, so that it belongs to somebody even though it is empty. */
  readonly isBegun: () => Promise<boolean>;
  /** Whether this process may begin a new store. */
  readonly begins: boolean;
  /** The variable that says where the store is. */
  readonly setting: string;
}

const KEPT_MS = 10_000;
/** Artifacts that are looked at to find out whose store it is. */
const SAMPLE = 500;

/**
 * Compares the mark of a store with the database. A store without a mark is taken if it is empty, or if the database names at least half
 * of what is looked at in it: a wrong database may name a few things that it has stored there by mistake.
 */
export function createOwnership(options: OwnershipOptions): StoreOwnership {
  const { db, mark } = options;
  let last: { readonly at: number; readonly found: Promise<OwnershipProblem | null> } | null = null;
  const examine = async (): Promise<OwnershipProblem | null> => {
    const own = await repository.owner(db);
    const known = await mark.read();
    if (known !== null) return compare(known, own, options.setting);
    const problem = await problemOfUnmarked(options);
    if (problem !== null) return problem;
    // Another process may be faster, and a full disk takes it later.
    await mark.create(own).catch(() => undefined);
    const written = await mark.read();
    return written === null ? unmarked() : compare(written, own, options.setting);
  };
  return {
    problem() {
      if (last === null || performance.now() - last.at > KEPT_MS) {
        const now = { at: performance.now(), found: examine() };
        last = now;
        now.found.catch(() => (last = last === now ? null : last));
      }
      return last.found;
    },
    async adopt() {
      await mark.replace(await repository.owner(db));
      last = null;
    },
  };
}

async function problemOfUnmarked({
  db,
  store,
  isBegun,
  begins,
  setting,
}: OwnershipOptions): Promise<OwnershipProblem | null> {
  const stored: string[] = [];
  for await (const { digest } of store.list()) if (stored.push(digest) === SAMPLE) break;
  if (stored.length > 0) {
    const named = await namedAmong(db, stored);
    return 2 * named.size >= stored.length ? null : unknown(setting);
  }
  // A folder in whose place its file system is not mounted is empty, too.
  if (await isBegun()) return null;
  return begins && (await sampleDigests(db)).length === 0 ? null : unmarked();
}

function compare(mark: Owner, own: Owner, setting: string): OwnershipProblem | null {
  if (mark.installation !== own.installation) {
    const message =
      `the artifact store belongs to installation ${mark.installation}, and the database is that of installation ${own.installation}, so ` +
      `nothing is stored or removed: check ${setting} and DATABASE_URL; if they belong together, run \`readapt doctor --adopt\``;
    return { message, isForeign: true };
  }
  if (mark.database === own.database) return null;
  const message =
    'the artifact store belongs to another copy of this database, so nothing is removed from it: if this database has taken the place ' +
    'of that one, run `readapt doctor --adopt`; if it is a copy for something else, give it a store of its own ' +
    `(${setting}), or check DATABASE_URL`;
  return { message, isForeign: false };
}

function unknown(setting: string): OwnershipProblem {
  const message =
    `the artifact store has no ${OWNER_MARK}, and the database does not name most of what is in it, so nothing is stored or removed: ` +
    `check ${setting} and DATABASE_URL; if they belong together, run \`readapt doctor --adopt\``;
  return { message, isForeign: true };
}

function unmarked(): OwnershipProblem {
  const message = `the artifact store has no ${OWNER_MARK} yet, which an API writes, so nothing is removed from it`;
  return { message, isForeign: false };
}
