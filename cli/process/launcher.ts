import { readFileSync } from 'node:fs';

const POLL_MS = 500;

/** Pattern of the process names of npm and other programs that run package scripts. */
const LAUNCHER_NAMES = /^(npm|npx|pnpm|yarn|bun|node|MainThread)/;

/** Whether this process, or a process above it, was started by npm or npx. */
const IS_LAUNCHED = process.env.npm_lifecycle_event !== undefined;

/**
 * Process ids of this process's parent and, if the parent is a shell, of the npm or npx above the shell. Empty if this
 * process was not started by npm or npx. Both are needed, because the shell that npm starts dies of SIGTERM without
 * passing the signal on, and outlives an npm that is killed. The ids are read at the start, because a process gets
 * another parent when its own has ended.
 */
const LAUNCHERS = IS_LAUNCHED ? launchers() : [];

/**
 * Whether the npm or npx that started this process had ended before its process id could be read. That is possible
 * because Node needs a second or two to load the sources.
 */
const HAVE_ENDED = IS_LAUNCHED && !hasLauncherAbove(process.ppid);

function launchers(): number[] {
  const parent = readProcess(process.ppid);
  return parent !== null && /^(da|ba|z)?sh$/.test(parent.name) ? [process.ppid, parent.ppid] : [process.ppid];
}

/**
 * Whether process `pid` or a process above it runs package scripts. True if the processes cannot be read, so that
 * nothing ends by mistake.
 */
function hasLauncherAbove(pid: number): boolean {
  const found = readProcess(pid);
  if (found === null || LAUNCHER_NAMES.test(found.name)) return true;
  return found.ppid !== 0 && hasLauncherAbove(found.ppid);
}

/**
 * Calls `handle` once when the npm or npx that started this process has ended, or the shell between npm and this
 * process.
 * @returns a function that stops watching
 */
export function whenLauncherEnds(handle: () => void): () => void {
  const [parent, grandparent] = LAUNCHERS;
  if (parent === undefined) return () => undefined;
  const timer = setInterval(() => {
    const isOrphan = HAVE_ENDED || process.ppid !== parent;
    const isParentOrphan = grandparent !== undefined && readProcess(parent)?.ppid !== grandparent;
    if (!isOrphan && !isParentOrphan) return;
    clearInterval(timer);
    handle();
  }, POLL_MS).unref();
  return () => clearInterval(timer);
}

/** Reads the name and the parent's id of a process; null if the process is gone, or on systems without /proc. */
function readProcess(pid: number): { name: string; ppid: number } | null {
  try {
    // The line is `pid (name) state ppid …`.
    const [, name, ppid] = /^\d+ \((.*)\) \S (\d+) /s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    return name === undefined ? null : { name, ppid: Number(ppid) };
  } catch {
    return null;
  }
}
