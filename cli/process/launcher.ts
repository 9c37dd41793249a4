import { readFileSync } from 'node:fs';

const POLL_MS = 500;

/** What npm and others that run scripts of packages call their processes. */
const LAUNCHER_NAMES = /^(npm|npx|pnpm|yarn|bun|node|MainThread)/;

/** Whether npm or npx has started this process, or one above it. */
const IS_LAUNCHED = process.env.npm_lifecycle_event !== undefined;

/**
 * The process ids that lead from this process to the npm or npx that started it; empty if none has. There is a shell in
 * between, which dies of SIGTERM without passing it on, and which outlives an npm that is killed. Read at the start,
 * because a process whose parent is gone gets another one.
 */
const LAUNCHERS = IS_LAUNCHED ? launchers() : [];

/** Whether they had ended before their processes could be read: Node loads the sources for a second or two until then. */
const HAVE_ENDED = IS_LAUNCHED && !hasLauncherAbove(process.ppid);

function launchers(): number[] {
  const parent = readProcess(process.ppid);
  return parent !== null && /^(da|ba|z)?sh$/.test(parent.name) ? [process.ppid, parent.ppid] : [process.ppid];
}

/** Whether a process or one above it runs scripts of packages. True where that cannot be read, so that nothing ends by mistake. */
function hasLauncherAbove(pid: number): boolean {
  const found = readProcess(pid);
  if (found === null || LAUNCHER_NAMES.test(found.name)) return true;
  return found.ppid !== 0 && hasLauncherAbove(found.ppid);
}

/**
 * Calls `handle` once when the npm or npx that started this process has ended, or the shell between them.
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

/** Reads name and parent of a process; null if it is gone, or where there is no /proc. */
function readProcess(pid: number): { name: string; ppid: number } | null {
  try {
    // The line is `pid (name) state ppid …`.
    const [, name, ppid] = /^\d+ \((.*)\) \S (\d+) /s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    return name === undefined ? null : { name, ppid: Number(ppid) };
  } catch {
    return null;
  }
}
