/**
 * Polls `/healthz` of the service at the given address every 20 ms, in a process of its own, because the sender of an attack keeps its
 * own event loop busy. At each message it sends the longest time since the last one, in milliseconds, and begins anew.
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

// What is asked for while another answer is late is sent all the same: it would be as late.
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
