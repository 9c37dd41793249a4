import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

const collect = runInNewContext('gc') as () => void;

/** Runs a full garbage collection. */
export function collectGarbage(): void {
  // The first call may only finish a marking that started while more was alive; the second starts over.
  collect();
  collect();
}

/**
 * Referenced bytes on the heap and in external buffers. Garbage does not count, because when it is collected depends on
 * V8's release.
 */
export function heldBytes(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
