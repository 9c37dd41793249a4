import { open, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeFully } from '../../../core/formats/atomic-file.ts';
import { RunningHashes } from './running-hashes.ts';
import { SourceError } from './source-error.ts';
import { sourceText, type PinnedSource, type SourceFile } from './source.ts';
import { backoff } from '../../lib/backoff.ts';
import type { Sources } from './sources.ts';

export interface DownloadOptions {
  readonly sources: Sources;
  readonly source: PinnedSource;
  readonly token: string | null;
  readonly signal: AbortSignal;
  /**
   * Called with the number of bytes that arrived. Bytes that have to be fetched again are reported as a negative
   * number.
   */
  readonly onBytes: (bytes: number) => void;
  /** Delay after the first failure of a source, in milliseconds; each further failure doubles it. Default: a second. */
  readonly firstDelayMs?: number;
  /**
   * Longest delay that a source may ask for, in milliseconds. If it asks for a longer one, the download ends. Default:
   * no limit.
   */
  readonly patienceMs?: number;
  /**
   * Checks a file whose bytes match its source, and describes the problem with it; null if there is none. Default: no
   * check.
   */
  readonly problemOf?: (place: string, name: string) => Promise<string | null>;
}

/**
 * Largest number of failures in a row, without a byte received in between, after which a download still tries again.
 * One more failure ends the download.
 */
const MAX_FAULTS = 5;
const LONGEST_DELAY_MS = 30_000;

/**
 * Fetches a file into a folder, resuming an earlier attempt that was cut off, and checks the result. Bytes are hashed
 * as they arrive; only bytes from an earlier attempt are read again.
 * @returns the SHA-256 of the file, hexadecimal
 * @throws SourceError; `source_corrupt` if wrong bytes came twice
 */
export async function download(folder: string, file: SourceFile, options: DownloadOptions): Promise<string> {
  const whole = path.join(folder, file.name);
  const part = `${whole}.part`;
  const left = await sizeOf(whole);
  if (left !== null) {
    const known = await check(whole, file, new RunningHashes(file), options);
    if (known.problem === null) return known.sha256;
    await rm(whole);
    options.onBytes(-Math.min(left, file.size));
  }
  for (let tries = 0; ; tries++) {
    const hashes = new RunningHashes(file);
    await complete(part, file, { ...options, hashes });
    const { problem, sha256 } = await check(part, file, hashes, options);
    if (problem === null) {
      await rename(part, whole);
      return sha256;
    }
    await rm(part);
    options.onBytes(-file.size);
    if (tries > 0) throw new SourceError('source_corrupt', corrupt(file, options.source, problem));
  }
}

/** Reads the number of bytes of a file that earlier attempts have downloaded. */
export async function bytesThere(folder: string, { name, size }: SourceFile): Promise<number> {
  const whole = path.join(folder, name);
  return Math.min(size, (await sizeOf(whole)) ?? (await sizeOf(`${whole}.part`)) ?? 0);
}

interface Append extends DownloadOptions {
  readonly hashes: RunningHashes;
}

async function complete(part: string, file: SourceFile, options: Append): Promise<void> {
  const { signal, firstDelayMs = 1000, patienceMs = Infinity } = options;
  let faults = 0;
  for (;;) {
    const before = (await sizeOf(part)) ?? 0;
    try {
      await append(part, file, options);
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof SourceError) || error.hope !== 'later') throw error;
      faults = ((await sizeOf(part)) ?? 0) > before ? 1 : faults + 1;
      if (faults > MAX_FAULTS || (error.retryAfterMs ?? 0) > patienceMs) throw error;
      const ms = Math.min(LONGEST_DELAY_MS, error.retryAfterMs ?? backoff(firstDelayMs, faults, LONGEST_DELAY_MS));
      await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}

/**
 * Appends the missing bytes to a partly downloaded file. Fails if the source ends the file early or sends too many
 * bytes. If it sends too many, the partly downloaded file is emptied, so that a later download begins anew.
 */
async function append(part: string, file: SourceFile, options: Append): Promise<void> {
  const { sources, source, token, signal, onBytes, hashes } = options;
  const handle = await open(part, 'a');
  try {
    const { size: from } = await handle.stat();
    await hashes.read(part, Math.min(from, file.size), signal);
    let at = from;
    if (from < file.size) {
      for await (const chunk of sources.read(source, file, { from, token, signal })) {
        const taken = chunk.subarray(0, file.size - at);
        await writeFully(handle, taken);
        hashes.add(taken);
        at += taken.length;
        onBytes(taken.length);
        if (taken.length < chunk.length) {
          // The file has the right size by now, so a later fetch would take it as complete.
          await handle.truncate(0);
          onBytes(-file.size);
          throw new SourceError('source_changed', longer(file, source));
        }
      }
    }
    if (at < file.size) {
      const message = `${file.name} of ${sourceText(source)} was cut off after ${at} of ${file.size} bytes`;
      throw new SourceError('source_unreachable', message);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

interface Checked {
  readonly sha256: string;
  /** Difference between the downloaded file and its source, in words; null if there is none. */
  readonly problem: string | null;
}

/** Compares a file with its pinned size and hashes. Bytes that were not hashed while they were written are read. */
async function check(
  place: string,
  file: SourceFile,
  hashes: RunningHashes,
  { problemOf }: DownloadOptions,
): Promise<Checked> {
  // The file may be longer than the hashed part: a process that was taken for dead may have appended to it, too.
  const size = (await sizeOf(place)) ?? 0;
  await hashes.read(place, Math.min(size, file.size));
  const { sha256, gitSha1 } = hashes.digest();
  const problem = ((): string | null => {
    if (size !== file.size) return `it has ${size} bytes, expected ${file.size}`;
    if (file.sha256 !== null && file.sha256 !== sha256) return `its SHA-256 is ${sha256}, expected ${file.sha256}`;
    if (file.gitSha1 !== null && file.gitSha1 !== gitSha1) {
      return `Git names its content ${gitSha1}, expected ${file.gitSha1}`;
    }
    return null;
  })();
  return { sha256, problem: problem ?? (await problemOf?.(place, file.name)) ?? null };
}

function corrupt({ name }: SourceFile, source: PinnedSource, problem: string): string {
  return (
    `${name} of ${sourceText(source)} arrived twice with the wrong content: ${problem}; check what is between this ` +
    'machine and the source, such as a mirror or a proxy'
  );
}

function longer({ name, size }: SourceFile, source: PinnedSource): string {
  return (
    `${name} of ${sourceText(source)} is longer than the ${size} bytes that it had when it was listed: register or ` +
    'import it again'
  );
}

function sizeOf(place: string): Promise<number | null> {
  return stat(place).then(
    ({ size }) => size,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw error;
    },
  );
}
