import { availableParallelism } from 'node:os';
import type { LoadedBase, Session } from '../workers/training/session.ts';
import type { MetricName } from '../workers/training/protocol.ts';
import type { CommonOptions } from './options.ts';

/** Opens a session for the command's runtime and closes it whatever happens. */
export async function withSession<T>(options: CommonOptions, use: (session: Session) => Promise<T>): Promise<T> {
  const { Session } = await import('../workers/training/session.ts');
  const threads = options.threads ?? availableParallelism();
  const session = new Session({ runtime: options.runtime, threads });
  try {
    return await use(session);
  } finally {
    await session.dispose();
  }
}

/** The rows of a JSONL file as tokens, with the task's choices. */
export async function loadExamples(base: LoadedBase, path: string) {
  const { loadDataset } = await import('../workers/training/dataset.ts');
  const { findChoices } = await import('../workers/training/choices.ts');
  const { tokenizeRows } = await import('../workers/training/task-data.ts');
  const rows = await loadDataset(path);
  const examples = tokenizeRows(rows, { tokenizer: base.tokenizer, config: base.model.config });
  return { rows, examples, choices: findChoices(rows, base.tokenizer) };
}

/** The metric that suits a task where none is asked for: accuracy for a small set of choices, else exact match. */
export function defaultMetric(choices: object | null): MetricName {
  return choices ? 'accuracy' : 'exact_match';
}
