import { expect, it } from 'vitest';
import { gateInWords } from '../../../dashboard/src/pages/adapter/gate-in-words.ts';

const relative = { kind: 'relative', margin: 0.05, confidence: 0.95 } as const;

it('says of rows with answers how much worse a version may be', () => {
  expect(gateInWords(relative, 'accuracy', false)).toBe(
    'accuracy at most 0.05 worse than that of the imported version on its own base, ' +
      'certified with a confidence of 95%',
  );
});

it('calls it agreement where the rows are prompts alone', () => {
  expect(gateInWords(relative, 'exact_match', true)).toMatch(
    /^agreement with the imported version \(exact match\) of at least 0.95, certified/,
  );
  expect(gateInWords(relative, 'rouge_l', true)).toMatch(
    /^agreement with the imported version \(ROUGE-L\) at most 0.05 below full agreement, certified/,
  );
  expect(gateInWords({ kind: 'absolute', target: 0.9 }, 'exact_match', true)).toMatch(
    /^agreement with the old version \(exact match\) of /,
  );
});
