import { expect, test } from 'vitest';
import { readDecision } from '../../../src/fleet/rollouts/approvals/decision.ts';

const answered = (status: number, body: string) => ({ status, body, retryAfterMs: null, latencyMs: 1 });

test('only a plain yes approves', () => {
  expect(readDecision(answered(200, '{"approved": true, "by": "somebody"}'))).toEqual({ kind: 'approved' });
});

test.each([
  ['{"approved": false, "reason": "too early"}', 'too early'],
  ['{"approved": false}', 'no reason was given'],
  ['{"approved": false, "reason": " \\u0000 "}', 'no reason was given'],
  [JSON.stringify({ approved: false, reason: 'x'.repeat(10_000) }), 'x'.repeat(500)],
  // PostgreSQL cannot store half of a surrogate pair, so the refusal would never be recorded.
  ['{"approved": false, "reason": "no \\ud83d way"}', 'no \ufffd way'],
  [JSON.stringify({ approved: false, reason: `${'x'.repeat(499)}😀` }), `${'x'.repeat(499)}\ufffd`],
  ['{"approved": false, "reason": "no 😀"}', 'no 😀'],
])('a plain no refuses: %.60s', (body, reason) => {
  expect(readDecision(answered(200, body))).toEqual({ kind: 'refused', reason });
});

test.each([
  [200, '{"approved": null}'],
  [200, '{"approved": "true"}'],
  [200, '{"approved": 1}'],
  [200, '[{"approved": true}]'],
  [200, '{"approved": true'],
  [200, 'true'],
  [200, ''],
  [202, '{"approved": true}'],
  [201, '{"approved": true}'],
  [302, '{"approved": true}'],
  [500, '{"approved": false}'],
])('%i %s decides nothing', (status, body) => {
  expect(readDecision(answered(status, body))).toMatchObject({ kind: 'none', status });
});

test('neither does what has no answer', () => {
  const none = { kind: 'none', outcome: 'timeout', status: null };
  expect(readDecision({ failure: 'timeout', latencyMs: 1 })).toEqual(none);
});
