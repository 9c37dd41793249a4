import type { Candidate } from '../job-record.ts';

/** Names and descriptions of the rungs by their names in the API. */
const RUNGS: Readonly<Record<string, { readonly name: string; readonly tries: string }>> = {
  copy: { name: 'Copy', tries: 'the old adapter, unchanged' },
  revert: { name: 'Revert', tries: 'the old adapter, with the change of the base undone' },
  search: { name: 'Search', tries: 'the coefficients that a search of its own finds' },
  fine_tune: { name: 'Fine-tune', tries: 'training from the best so far' },
  scratch: { name: 'From scratch', tries: 'training from the start' },
};

export const rungName = (rung: string): string => RUNGS[rung]?.name ?? rung;
export const rungTries = (rung: string): string | undefined => RUNGS[rung]?.tries;

/** Name of a candidate for its identifier: `Fine-tune, step 40` for `fine_tune@40`. */
export function candidateName(id: string): string {
  const [rung = id, step] = id.split('@');
  return step === undefined ? rungName(rung) : `${rungName(rung)}, step ${step}`;
}

/** Words for the page on why the ladder stopped at a candidate. */
export function takenWord({ gate }: Pick<Candidate, 'gate'>): string {
  return gate.verdict === 'passed' ? 'passed the gate' : 'was taken without a certificate';
}
