import { setImmediate } from 'node:timers';
import './api-process.ts';

/**
 * Process with an API that watches its event loop between two messages, and sends the longest time of one turn. It
 * counts processor time, because other programs of the machine delay turns as well.
 */
let watching = false;
let longestMs = 0;

function watch(before: number): void {
  const now = cpuMs();
  longestMs = Math.max(longestMs, now - before);
  if (watching) setImmediate(watch, cpuMs());
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

process.on('message', (message: { watch: boolean }) => {
  watching = message.watch;
  if (message.watch) {
    longestMs = 0;
    setImmediate(watch, cpuMs());
  }
  process.send?.({ longestMs });
});
