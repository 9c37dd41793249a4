/**
 * Polls `/healthz` of the given service every 20 ms. It runs in its own process, because the attack keeps the sender's
 * event loop busy. At each message it sends the longest time since the last message, in milliseconds, and starts over.
 */
const PERIOD_MS = 20;

const [, , origin = ''] = process.argv;
let longestMs = 0;

async function ask(): Promise<void> {
  const asked = performance.now();
  const response = await fetch(`${origin}/healthz`);
  await response.arrayBuffer();
  if (response.status !== 200) throw new Error(`/healthz answered ${response.status}`);
  longestMs = Math.max(longestMs, performance.now() - asked);
}

// Polls go out on schedule even while an earlier answer is late, because they would be late too.
await ask();
longestMs = 0;
const polling = new Set<Promise<void>>();
setInterval(() => {
  const answer = ask().finally(() => polling.delete(answer));
  polling.add(answer);
}, PERIOD_MS);
process.send?.(0);
process.on('message', () => {
  void Promise.all(polling).then(() => {
    process.send?.(longestMs);
    longestMs = 0;
  });
});
process.once('disconnect', () => process.exit(0));
