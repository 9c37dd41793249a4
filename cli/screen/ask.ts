import { read } from 'read';
import { UsageError } from '../process/errors.ts';
import { InterruptedError } from '../process/interruption.ts';

/** Whether a question can be asked. Questions go to stderr and answers come from stdin, so both must be terminals. */
function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

interface Question {
  readonly text: string;
  /** Whether the typed answer stays invisible, as for a key. */
  readonly hidden?: boolean;
  /** Answer that counts if nothing is typed. */
  readonly standard?: string;
  /** Alternative to answering, such as an option, that the error message names if there is no terminal. */
  readonly instead: string;
}

/**
 * Asks on stderr, so that stdout holds results alone.
 * @throws UsageError if there is no terminal; InterruptedError at Ctrl-C
 */
export async function ask({ text, hidden = false, standard, instead }: Question): Promise<string> {
  if (!canAsk()) throw new UsageError(`there is no terminal to ask on: give ${instead}`, 'no_terminal');
  const prompt = standard === undefined ? `${text}: ` : `${text} (${standard}): `;
  const answer = await read({ prompt, silent: hidden, output: process.stderr }).catch((error: Error) => {
    if (error.message === 'canceled') throw new InterruptedError('SIGINT');
    throw error;
  });
  return answer.trim() === '' ? (standard ?? '') : answer.trim();
}

/** Asks whether to go on. Only `y` and `yes` count as a yes. */
async function confirm(text: string): Promise<boolean> {
  const answer = await ask({ text: `${text} [y/N]`, instead: '--yes' });
  return /^y(es)?$/i.test(answer);
}

export interface YesOption {
  readonly yes?: boolean;
}

/**
 * Asks for confirmation, unless `--yes` is given.
 * @param what the action as an imperative, with the number of things that it changes
 * @throws UsageError if the answer is not yes, or nobody can be asked
 */
export async function requireConfirmation({ yes = false }: YesOption, what: string): Promise<void> {
  if (yes) return;
  if (!canAsk()) throw new UsageError(`nobody can be asked here whether to ${what}: add --yes if so`, 'not_confirmed');
  if (!(await confirm(`${what}?`))) throw new UsageError('nothing was changed', 'not_confirmed');
}

/** Longest text that is read as a key, in characters. */
const LONGEST_KEY = 1000;

/** Reads the first line of stdin, without the white space around it. @throws UsageError if there is none */
export async function readKeyFromStdin(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.trimStart().includes('\n') || text.length > LONGEST_KEY) break;
  }
  const key = text.trim().split(/\s/)[0] ?? '';
  if (key === '') throw new UsageError('--key-stdin is given, and nothing came on standard input', 'key_missing');
  return key;
}
