import { SourceError, type SourceFile } from '../../src/platform/base-sources/index.ts';
import type { Database } from '../../src/platform/database/database.ts';
import { fetchRepository } from './fetch.repository.ts';
import { fingerprintOf } from './fingerprint.ts';

export interface FetchedContent {
  readonly db: Database;
  readonly base: { readonly id: string; readonly version: string };
  readonly folder: string;
  /** SHA-256 of each fetched file by the file's name. */
  readonly hashes: ReadonlyMap<string, string>;
  readonly signal: AbortSignal;
}

/**
 * Checks fetched files against the stored SHA-256 hashes. If the source gives no hash of some file, the first fetch
 * stores its own hashes, after a comparison with the fingerprint if the version was verified.
 * @throws SourceError `source_changed` or `source_corrupt`; the signal's reason
 */
export async function checkContent({ db, base, folder, hashes, signal }: FetchedContent): Promise<void> {
  const known = await fetchRepository.known(db, base.id);
  if (!known.files.some(isUnknown)) return compareHashes(base, known.files, hashes);
  // Compare the fingerprint before the hashes are stored, because every later fetch has to match them.
  if (known.fingerprint !== null) await compareFingerprint({ base, folder, signal }, known.fingerprint);
  compareHashes(base, await fetchRepository.keepHashes(db, base.id, hashes), hashes);
}

/** Whether no hash of the file is known yet, neither from the source nor from an earlier fetch. */
function isUnknown({ sha256, gitSha1 }: SourceFile): boolean {
  return sha256 === null && gitSha1 === null;
}

async function compareFingerprint(
  { base, folder, signal }: Pick<FetchedContent, 'base' | 'folder' | 'signal'>,
  expected: string,
): Promise<void> {
  const found = await fingerprintOf(folder, signal);
  if ('fingerprint' in found && found.fingerprint === expected) return;
  const what = 'problem' in found ? found.problem : `its fingerprint is ${found.fingerprint}`;
  const message =
    `the source of base model version ${base.version} has other files than those that were verified: ${what}, ` +
    `expected the fingerprint ${expected}; register what is there now as a new version`;
  throw new SourceError('source_changed', message);
}

function compareHashes(
  { version }: FetchedContent['base'],
  files: readonly SourceFile[],
  hashes: ReadonlyMap<string, string>,
): void {
  const other = files.find(({ name, sha256 }) => sha256 !== null && sha256 !== hashes.get(name));
  if (other === undefined) return;
  const message =
    `${other.name} of base model version ${version} has the SHA-256 ${hashes.get(other.name)} here, ` +
    `and ${other.sha256} where it was fetched first; ` +
    'check what is between this machine and the source, such as a mirror or a proxy';
  throw new SourceError('source_corrupt', message);
}
