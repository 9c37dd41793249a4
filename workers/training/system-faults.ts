/** Codes of Node's errors for faults of the machine, for which a job is not to blame, with a description of each. */
export const SYSTEM_FAULTS: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'no space is left on a disk of the worker'],
  ['EDQUOT', 'the disk quota of the worker is used up'],
  ['EROFS', 'a file system that the worker writes to is read-only'],
  ['EIO', 'a disk of the worker cannot be read or written'],
  ['EMFILE', 'the worker has too many open files'],
  ['ENFILE', 'the machine of the worker has too many open files'],
  ['ENOMEM', 'the machine of the worker has no memory left'],
  ['EAGAIN', 'the machine of the worker has too many processes'],
  ['EACCES', 'the worker may not read or write a file that it needs'],
  ['EPERM', 'the worker may not read or write a file that it needs'],
  ['ESTALE', 'a file system that the worker needs is away'],
  ['ENODEV', 'a file system that the worker needs is away'],
  ['ENXIO', 'a file system that the worker needs is away'],
  // Codes of network and user-space file systems that are cut off.
  ['ENOTCONN', 'a file system that the worker needs is away'],
  ['ETIMEDOUT', 'a file system that the worker needs is away'],
  ['EHOSTDOWN', 'a file system that the worker needs is away'],
  ['EHOSTUNREACH', 'a file system that the worker needs is away'],
  ['EREMOTEIO', 'a file system that the worker needs is away'],
]);

/** Returns the code of a fault of the machine in an error or its causes; null if there is none. */
export function systemFaultOf(error: unknown): string | null {
  for (let at = error, depth = 0; at instanceof Error && depth < 10; at = at.cause, depth++) {
    if ('code' in at && typeof at.code === 'string' && SYSTEM_FAULTS.has(at.code)) return at.code;
  }
  return null;
}
