/** Resolves at SIGINT, SIGTERM, or when the parent process that forked this one goes away. */
export async function untilStopped(): Promise<void> {
  await new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
    if (process.connected) process.once('disconnect', () => resolve());
  });
  // An open channel to the parent would keep this process alive.
  if (process.connected) process.disconnect();
}
