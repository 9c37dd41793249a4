import { createHash } from 'node:crypto';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { SafetensorsFile } from '../safetensors/safetensors.ts';

/** Remembers the fingerprints of weights that were read and checked, by what is known of their files without reading them. */
export interface VerifiedFiles {
  /** Returns the fingerprint, or null if files with this stamp were not verified. */
  find(stamp: string): Promise<string | null>;
  add(stamp: string, fingerprint: string): Promise<void>;
}

/**
 * Files that were changed so recently before they were read may be changed again without a new time stamp, since file
 * systems round times. They are verified again.
 */
const RECENT_MS = 2000;

export interface FileStamp {
  /** Hash of the config, and of device, inode, size and times of each file. Any change to a file changes its ctime. */
  readonly stamp: string;
  /** Whether a later change of the files is sure to change the stamp. */
  readonly settled: boolean;
}

/** Takes the stamp of files that are open. */
export async function stampOf(config: ModelConfig, files: readonly SafetensorsFile[]): Promise<FileStamp> {
  const stats = await Promise.all(files.map((file) => file.stat()));
  const parts = stats.map(({ dev, ino, size, mtimeNs, ctimeNs }, i) => [
    files[i]!.file,
    ...[dev, ino, size, mtimeNs, ctimeNs].map(String),
  ]);
  const newest = stats.reduce((latest, { ctimeMs, mtimeMs }) => Math.max(latest, Number(ctimeMs), Number(mtimeMs)), 0);
  return {
    stamp: createHash('sha256')
      .update(JSON.stringify([config, parts]))
      .digest('hex'),
    settled: Date.now() - newest > RECENT_MS,
  };
}
