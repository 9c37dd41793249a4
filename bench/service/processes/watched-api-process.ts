import { setImmediate } from 'node:timers';
import './api-process.ts';

/** The API as a process that also tells, when it is asked, the longest time between two rounds of its event loop. */
let watching = false;
let longestMs = 0;

function watch(before: number): void {
  const now = performance.now();
  longestMs = Math.max(longestMs, now - before);
  if (watching) setImmediate(watch, now);
}

process.on('message', (message: { watch: boolean }) => {
  watching = message.watch;
  if (message.watch) {
    longestMs = 0;
    setImmediate(watch, performance.now());
  }
  process.send?.({ longestMs });
});
