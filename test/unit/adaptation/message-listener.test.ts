import { expect, it } from 'vitest';
import { createMessageListener } from '../../../workers/training/message-listener.ts';
import type { Candidate, ChildMessage, GateOutcomes } from '../../../workers/training/protocol.ts';

const CANDIDATE: Candidate = {
  strategy: 'reuse',
  alpha: 1,
  beta: 0,
  step: 0,
  metric: 'accuracy',
  value: 0.9,
  standardError: 0.01,
  examples: 100,
  passed: true,
  bound: null,
  negativeFlips: null,
  failed: [],
  data: 'training',
};

const OUTCOMES: GateOutcomes = { digest: `sha256:${'0'.repeat(64)}`, value: 0.9, standardError: 0.01, values: [1, 0] };

function listen(signal: AbortSignal) {
  const sent: ChildMessage[] = [];
  let durable: (sequence: number) => void = () => undefined;
  const listener = createMessageListener(
    'r1',
    (message) => sent.push(message),
    signal,
    (resolve) => (durable = resolve),
  );
  return { listener, sent, durable: (sequence: number) => durable(sequence) };
}

it('waits until exactly this publication is durable', async () => {
  const { listener, durable } = listen(new AbortController().signal);
  let done = false;
  const published = listener.publish(2, '/nowhere', CANDIDATE, OUTCOMES).then(() => (done = true));
  durable(1);
  await Promise.resolve();
  expect(done).toBe(false);
  durable(2);
  await published;
});

it('does not wait for a parent that has cancelled, before or meanwhile', async () => {
  const controller = new AbortController();
  const { listener, sent } = listen(controller.signal);
  const meanwhile = listener.publish(1, '/nowhere', CANDIDATE, OUTCOMES);
  controller.abort(new Error('cancelled'));
  await expect(meanwhile).rejects.toThrow('cancelled');
  await expect(listener.publish(2, '/nowhere', CANDIDATE, OUTCOMES)).rejects.toThrow('cancelled');
  expect(sent.map(({ type }) => type)).toEqual(['publish']);
});
