import type { Adapter } from '../../models/lora/adapter.ts';
import type { BaseModel } from '../../models/base-model.ts';
import type { Batch } from '../runtime.ts';

/**
 * Refuses a call whose arrays do not fit together or whose ids lie outside the base's vocabulary, which neither runtime
 * would report clearly.
 * @throws RangeError naming the field, the value found and what was expected
 */
export function checkCall(base: BaseModel, adapter: Adapter | null, batch: Batch): void {
  const { sequenceLengths, textLengths, labelPositions, labelIds, inputIds } = batch;
  if (labelPositions.length === 0) throw new RangeError('the batch has no label positions, expected at least one');
  const empty = sequenceLengths.find((length) => length < 1);
  if (empty !== undefined) throw new RangeError(`batch.sequenceLengths holds ${empty}, expected 1 or more`);
  const tokens = sequenceLengths.reduce((total, length) => total + length, 0);
  expectLength('inputIds', inputIds.length, tokens);
  expectLength('textLengths', (textLengths ?? sequenceLengths).length, sequenceLengths.length);
  expectLength('labelIds', labelIds.length, labelPositions.length);
  expectBelow('inputIds', inputIds, base.config.vocabSize);
  expectBelow('labelIds', labelIds, base.config.vocabSize);
  expectBelow('labelPositions', labelPositions, inputIds.length);
  if (adapter?.modules.size === 0) throw new RangeError('the adapter has no modules, expected at least one');
}

function expectLength(name: string, found: number, expected: number): void {
  if (found !== expected) throw new RangeError(`batch.${name} has ${found} elements, expected ${expected}`);
}

function expectBelow(name: string, values: Int32Array, limit: number): void {
  const wrong = values.find((value) => value < 0 || value >= limit);
  if (wrong !== undefined) throw new RangeError(`batch.${name} holds ${wrong}, expected 0 to ${limit - 1}`);
}
