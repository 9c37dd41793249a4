import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Collects at once what nothing refers to any more. */
export const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes that are referred to, on the heap and in buffers beside it. What waits for a collection depends on V8's release and does not count. */
export function heldBytes(): number {
  // The first may end a marking that began when more was alive; the second begins anew.
  collectGarbage();
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
