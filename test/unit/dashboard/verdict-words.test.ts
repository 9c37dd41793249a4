import { expect, test } from 'vitest';
import { verdictInWords } from '../../../dashboard/src/pages/job/ladder/verdict-words.ts';

type Gate = Parameters<typeof verdictInWords>[0];

const CERTIFICATE = {
  verdict: 'passed',
  confidence: 0.95,
  margin: 0.05,
  rows: 400,
  looks: 2,
  rows_needed: null,
} as const;
const GATE: Gate = {
  value: 0.735,
  best_case: null,
  standard_error: 0.02,
  bound: 0.7014,
  needed: 0.69,
  negative_flips: 0.04,
  rows: 400,
  measured_rows: 400,
  verdict: 'passed',
  failed: [],
  certificate: CERTIFICATE,
  judged_in: 'f32',
};

test.each<[string, Partial<Gate>, string]>([
  [
    'is certified',
    {},
    'Certified at 95% confidence on 400 rows, 2 looks: they rule out a true value below 0.7014, so that',
  ],
  [
    'is not certified',
    { verdict: 'inconclusive', certificate: { ...CERTIFICATE, verdict: 'inconclusive', rows_needed: 6546 } },
    'they leave a true value as low as 0.7014 possible. About 6,546 rows would certify it.',
  ],
  [
    'was ended by an earlier release',
    { verdict: 'failed', value: null, best_case: 0.68, measured_rows: 338, bound: null, failed: ['value'] },
    'after 338 of 400 gate rows, no better accuracy than 0.68 was still possible, and the gate asks for at least 0.69.',
  ],
  [
    'was certified early',
    { measured_rows: 250, ended: 'certified', certificate: { ...CERTIFICATE, rows: 250, available_rows: 400 } },
    'on 250 of 400 gate rows, and the gate asks for at least 0.69. The look ended there, because these rows had shown',
  ],
  [
    'was hopeless',
    { verdict: 'failed', measured_rows: 200, ended: 'futile', failed: ['value', 'bound'] },
    'The look ended there, because the rows to come would hardly have certified it.',
  ],
  [
    'flips too much',
    { verdict: 'failed', failed: ['negative_flips'] },
    '4% of the rows have flipped from right to wrong',
  ],
  ['has no certificate', { certificate: null }, 'nothing is certified of other rows'],
])('a candidate that %s is described so', (_, gate, text) => {
  expect(verdictInWords({ ...GATE, ...gate }, 'accuracy').join(' ')).toContain(text);
});

test('a loss has to be small, and slices are told one by one', () => {
  const slice = {
    name: 'gold',
    margin: 0.1,
    certify: true,
    rows: 97,
    value: 0.7,
    old: 0.64,
    bound: null,
    rows_needed: null,
  };
  const certificate = { ...CERTIFICATE, slices: [{ ...slice, verdict: 'failed' as const }] };
  expect(verdictInWords({ ...GATE, certificate }, 'loss')).toEqual([
    'Has loss 0.735 on 400 gate rows, and the gate asks for at most 0.69.',
    expect.stringContaining('they rule out a true value above 0.7014'),
    'Slice gold has failed: 0.7 on 97 rows, 0.64 before, may lose 0.1 and has to be certified.',
  ]);
});
