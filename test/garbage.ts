import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

const collect = runInNewContext('gc') as () => void;

/** Collects at once what nothing refers to any more. */
export function collectGarbage(): void {
  // The first may end a marking that began when more was alive; the second begins anew.
  collect();
  collect();
}

/** Bytes that are referred to, on the heap and in buffers beside it. What waits for a collection depends on V8's release and does not count. */
export function heldBytes(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
