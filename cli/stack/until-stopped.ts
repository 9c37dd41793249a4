import { onInterrupt } from '../process/interruption.ts';

/**
 * Whether this process was forked by another Node process. It is read at the start, because the parent may have exited
 * when {@link untilStopped} is called.
 */
const HAS_PARENT = process.connected === true;

/** Resolves at SIGINT or SIGTERM, when the parent process exits, or when `ended` resolves. */
export async function untilStopped(ended: Promise<void> = new Promise(() => undefined)): Promise<void> {
  await new Promise<void>((resolve) => {
    void ended.then(resolve);
    // The listener stays, so that a repeated signal does not interrupt the shutdown.
    onInterrupt(() => resolve());
    if (!HAS_PARENT) return;
    if (process.connected) process.once('disconnect', () => resolve());
    else resolve();
  });
  // An open channel to the parent would keep this process alive.
  if (process.connected) process.disconnect();
}
