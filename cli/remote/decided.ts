import { UsageError } from '../process/errors.ts';
import { canAsk, confirm } from '../screen/ask.ts';

export interface YesOption {
  readonly yes?: boolean;
}

/**
 * Asks whether to do something, unless `--yes` has said so.
 * @param what in words, as an imperative that says what will happen to how many
 * @throws UsageError if the answer is not yes, or nobody can be asked
 */
export async function decided({ yes = false }: YesOption, what: string): Promise<void> {
  if (yes) return;
  if (!canAsk()) throw new UsageError(`nobody can be asked here whether to ${what}: add --yes if so`, 'not_confirmed');
  if (!(await confirm(`${what}?`))) throw new UsageError('nothing was changed', 'not_confirmed');
}
