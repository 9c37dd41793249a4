import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Measurements } from '../../../core/adaptation/measurements/measurements.ts';
import { generateAnswers } from '../../../core/data/evaluation/generated-answers.ts';
import type { LoadedRow } from '../../../core/data/dataset.ts';
import { inFileOrder } from '../../../core/data/look-order.ts';
import { tokenizeTask } from '../../../core/data/task-data.ts';
import { tokenizeRows } from '../../../core/data/tokenize.ts';
import { BaseCache, type LoadedBase } from '../../../core/engine/base-cache.ts';
import type { Adapter } from '../../../core/models/lora/adapter.ts';
import { smallAdapter } from '../training/support/tiny-task.ts';

/** Base of the demo, which goes on for ever with the results of a tennis match. */
const BASE = 'examples/demo-family/v1';

/** Number of results in the completion of each gate row. The rows with short ones are the search rows, too. */
const RESULTS = [2, 3, 2, 8, 4];
const SHORT = [0, 1, 2];

let bases: BaseCache;
let base: LoadedBase;
let adapter: Adapter;
/** Gate rows whose completions are the beginnings of the answers to their prompts. */
let gate: LoadedRow[];

beforeAll(async () => {
  bases = new BaseCache({ threads: 1 });
  base = await bases.load(BASE);
  adapter = smallAdapter(base.model.config);
  const questions = RESULTS.map((_, i) => ({ prompt: `${i} ${i} 3 4 5, 6-4, 6-4,`, completion: ' 6-4' }));
  const examples = tokenizeRows(questions, { tokenizer: base.tokenizer, config: base.model.config });
  const { texts } = await generateAnswers(base, adapter, examples, { maxNewTokens: 100 });
  expect(texts.map(({ tokenIds }) => tokenIds.length)).toEqual(RESULTS.map(() => 100));
  gate = texts.map(({ text }, i) => {
    const completion = text.split(',').slice(0, RESULTS[i]).join();
    return { ...questions[i]!, completion, file: 'rows.jsonl', line: i + 1 };
  });
});
afterAll(() => bases.dispose());

function measurementsOf(metric: 'rouge_l' | 'token_f1'): Measurements {
  const { tokenizer, model } = base;
  const rows = { training: [], search: SHORT.map((row) => gate[row]!), gate, removed: 0 };
  const data = tokenizeTask(rows, { tokenizer, config: model.config, appendEos: true }, () => undefined);
  const signal = new AbortController().signal;
  return new Measurements({ data, metric, maxNewTokens: 0, searchRows: SHORT.length, signal });
}

describe.each(['rouge_l', 'token_f1'] as const)('an answer that goes on until its limit has the same %s', (metric) => {
  test('among all gate rows and as a search row', async () => {
    const measurements = measurementsOf(metric);
    const { values } = (await measurements.onGate(base, adapter)).outcomes;
    const look = await measurements.lookAtGate(base, adapter, () => true);
    expect(Array.from(look.outcomes.values)).toEqual(Array.from(values));
    const inFile = inFileOrder(Array.from(values));
    const { metric: found } = await measurements.onSearch(base, adapter);
    expect(found.value).toBeCloseTo(SHORT.reduce((sum, row) => sum + inFile[row]!, 0) / SHORT.length, 12);
  });
});
