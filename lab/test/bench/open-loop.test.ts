import { expect, onTestFinished, test, vi } from 'vitest';
import { sendAtRate } from '../../bench/service/poll/open-loop.ts';

test('requests are sent when they are due, whether or not others have been answered', async () => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const total = 20;
  let sent = 0;
  let answer = () => {};
  const answered = new Promise<void>((resolve) => (answer = resolve));
  const sending = sendAtRate({
    rate: 1000,
    seconds: total / 1000,
    next: () => sent,
    // No request is answered before the last one is sent: a client that waits for answers would wait for ever.
    send: async () => {
      if (++sent === total) answer();
      await answered;
      return 200;
    },
  });
  await vi.advanceTimersByTimeAsync(total);
  const samples = await sending;
  expect(samples.map(({ operation }) => operation)).toEqual(Array.from({ length: total }, (_, index) => index));
  // Each request waits from its due time until the last one is sent, so the first one waits longest.
  const waits = samples.map(({ latencyMs }) => latencyMs);
  expect(waits).toEqual(Array.from({ length: total }, (_, index) => total - 1 - index));
});
