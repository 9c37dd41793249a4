import { read } from 'read';
import { UsageError } from '../process/errors.ts';
import { InterruptedError } from '../process/interruption.ts';

/** Whether somebody can be asked: both the question and the answer go by the terminal. */
export function canAsk(): boolean {
  return process.stdin.isTTY === true && process.stderr.isTTY === true;
}

interface Question {
  readonly text: string;
  /** Shows nothing of what is typed. */
  readonly hidden?: boolean;
  /** What an empty answer stands for. */
  readonly standard?: string;
  /** What to give in place of an answer, for the message where nobody can be asked. */
  readonly instead: string;
}

/** Asks on stderr, so that stdout holds results alone. @throws UsageError if there is no terminal; InterruptedError at Ctrl-C */
export async function ask({ text, hidden = false, standard, instead }: Question): Promise<string> {
  if (!canAsk()) throw new UsageError(`there is no terminal to ask on: give ${instead}`, 'no_terminal');
  const prompt = standard === undefined ? `${text}: ` : `${text} (${standard}): `;
  const answer = await read({ prompt, silent: hidden, output: process.stderr }).catch((error: Error) => {
    if (error.message === 'canceled') throw new InterruptedError('SIGINT');
    throw error;
  });
  return answer.trim() === '' ? (standard ?? '') : answer.trim();
}

/** Asks whether to go on. Only yes is yes. */
export async function confirm(text: string): Promise<boolean> {
  const answer = await ask({ text: `${text} [y/N]`, instead: '--yes' });
  return /^y(es)?$/i.test(answer);
}

/** Longest text that is read as a key. */
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
