import { marked, table } from '../format.ts';
import type { Finding, Judgement } from './judgement.ts';

function goalsTable(judgements: readonly Judgement[]): string[] {
  return table(
    ['', 'hypothesis', 'holds if', 'estimate (95 %)', 'result'],
    judgements.map(({ id, claim, condition, findings, result }) => [
      id,
      claim,
      condition,
      findings.map(estimate).join('<br>'),
      `**${result}**`,
    ]),
    'left',
  );
}

/** Writes the table of goals between marks, with its notes. */
export function hypothesesSection(judgements: readonly Judgement[], experiment: string): string[] {
  return [
    '## Hypotheses',
    '',
    '*Cannot be said*: the interval holds values on both sides of the bound, so that it is neither shown nor',
    'refuted; the protocol counts it as missed. Estimates in brackets stand beside the one that decides.',
    'Nothing is adjusted for the number of hypotheses; H1 and H2 are the primary ones.',
    '',
    ...marked({ of: experiment, name: 'goals' }, goalsTable(judgements)),
    '',
    ...judgements.flatMap(({ id, notes }) => notes.map((note) => `- ${id}: ${note}.`)),
    '',
  ];
}

function estimate({ label, text, result, decides }: Finding): string {
  const named = label === '' ? text : `${label}: ${text}`;
  return decides ? named : `[${named}: ${result}]`;
}
