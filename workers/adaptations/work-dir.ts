import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';

const ATTEMPT = /^attempt-(\d+)$/;

/** Returns the folder that holds the folders of a job's attempts. */
export function jobFolderOf(checkpoints: string, jobId: string): string {
  return path.join(checkpoints, jobId);
}

/**
 * Makes the folder of an attempt from the files of the newest earlier attempt. Moves the files rather than sharing
 * them: an old attempt that wakes up, because its worker was only suspended, does not find its folder and cannot write
 * into the new attempt's.
 * @param retriedAfter last attempt before a retry; the files of attempts up to this one are not reused
 */
export async function takeOverWorkDir(
  checkpoints: string,
  jobId: string,
  attempt: number,
  retriedAfter = 0,
): Promise<string> {
  const folder = jobFolderOf(checkpoints, jobId);
  const own = path.join(folder, `attempt-${attempt}`);
  await mkdir(folder, { recursive: true });
  const earlier = (await readdir(folder))
    .map((name) => Number(ATTEMPT.exec(name)?.[1] ?? Infinity))
    .filter((number) => number > retriedAfter && number < attempt)
    .sort((a, b) => b - a);
  for (const number of earlier) if (await moved(path.join(folder, `attempt-${number}`), own)) return own;
  await mkdir(own, { recursive: true });
  return own;
}

/**
 * Moves a folder.
 * @returns whether the folder existed
 */
async function moved(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Removes a job's folder. Retries, because a process that was just killed may still be creating a file. */
export function removeJobFolder(checkpoints: string, jobId: string): Promise<void> {
  return rm(jobFolderOf(checkpoints, jobId), { recursive: true, force: true, maxRetries: 5 });
}
