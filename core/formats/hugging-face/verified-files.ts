import { createHash } from 'node:crypto';
import type { ModelConfig } from '../../models/config/model-config.ts';
import type { SafetensorsFile } from '../safetensors/safetensors.ts';

/**
 * Record of weights whose values were read and checked. It maps a stamp of the weights' files to the fingerprint of the
 * weights. A stamp is computed without reading the content of the files.
 */
export interface VerifiedFiles {
  /** Returns the fingerprint of verified weights; null if no files with this stamp were verified. */
  find(stamp: string): Promise<string | null>;
  add(stamp: string, fingerprint: string): Promise<void>;
}

/**
 * Age below which a modified file is not trusted: it may change again without a new time stamp, since file systems
 * round times. Such files are verified again.
 */
const RECENT_MS = 2000;

export interface FileStamp {
  /**
   * Hash of the config and of each file's device, inode, size and times. It changes with any change to a file, since
   * that changes the file's ctime.
   */
  readonly stamp: string;
  /** Whether the files are old enough that any later change is sure to change the stamp. */
  readonly settled: boolean;
}

/** Computes the stamp of open files. */
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
