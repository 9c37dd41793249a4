import type { Adapter } from '../../models/lora/adapter.ts';
import type { BaseModel } from '../../models/base-model.ts';
import type { Batch, DecodeStep } from '../runtime.ts';

/**
 * Validates a call: its arrays must fit together and its ids must lie in the base's vocabulary. Neither runtime would
 * report such an error clearly.
 * @throws RangeError naming the field, the value found and what was expected
 */
export function checkCall(base: BaseModel, adapter: Adapter | null, batch: Batch): void {
  const { sequenceLengths, textLengths, labelPositions, labelIds, inputIds } = batch;
  if (labelPositions.length === 0) throw new RangeError('the batch has no label positions, expected at least one');
  const empty = sequenceLengths.find((length) => length < 1);
  if (empty !== undefined) throw new RangeError(`batch.sequenceLengths holds ${empty}, expected 1 or more`);
  const tokens = sequenceLengths.reduce((total, length) => total + length, 0);
  expectLength('batch.inputIds', inputIds.length, tokens);
  expectLength('batch.textLengths', (textLengths ?? sequenceLengths).length, sequenceLengths.length);
  expectLength('batch.labelIds', labelIds.length, labelPositions.length);
  expectBelow('batch.inputIds', inputIds, base.config.vocabSize);
  expectBelow('batch.labelIds', labelIds, base.config.vocabSize);
  expectBelow('batch.labelPositions', labelPositions, inputIds.length);
  expectTargets(base, batch);
  expectModules(adapter);
}

/**
 * Validates a step of generation as {@link checkCall} validates a batch.
 * @throws RangeError naming the field, the value found and what was expected
 */
export function checkStep({ config }: BaseModel, adapter: Adapter | null, step: DecodeStep): void {
  const { inputIds, positions, cache, slots, doraFactors } = step;
  if (inputIds.length === 0) throw new RangeError('the step has no rows, expected at least one');
  expectLength('step.positions', positions.length, inputIds.length);
  expectBelow('step.inputIds', inputIds, config.vocabSize);
  expectBelow('step.positions', positions, slots + 1);
  const size = inputIds.length * slots * config.numKeyValueHeads * config.headDim;
  for (const [part, layers] of Object.entries(cache) as [string, readonly Float32Array[]][]) {
    expectLength(`step.cache.${part}`, layers.length, config.numLayers);
    for (const [layer, values] of layers.entries()) expectLength(`step.cache.${part}[${layer}]`, values.length, size);
  }
  expectModules(adapter);
  for (const [module, { magnitude }] of adapter?.modules ?? []) {
    if (magnitude)
      expectLength(`step.doraFactors of ${module}`, doraFactors.get(module)?.length ?? 0, magnitude.length);
  }
}

function expectTargets({ config }: BaseModel, { labelIds, targets }: Batch): void {
  if (!targets) return;
  const { perLabel, ids, shares } = targets;
  if (!Number.isInteger(perLabel) || perLabel < 1)
    throw new RangeError(`batch.targets.perLabel is ${perLabel}, expected 1 or more`);
  expectLength('batch.targets.ids', ids.length, perLabel * labelIds.length);
  expectLength('batch.targets.shares', shares.length, ids.length);
  expectBelow('batch.targets.ids', ids, config.vocabSize);
}

function expectModules(adapter: Adapter | null): void {
  if (adapter?.modules.size === 0) throw new RangeError('the adapter has no modules, expected at least one');
}

function expectLength(name: string, found: number, expected: number): void {
  if (found !== expected) throw new RangeError(`${name} has ${found} elements, expected ${expected}`);
}

function expectBelow(name: string, values: Int32Array, limit: number): void {
  const wrong = values.find((value) => value < 0 || value >= limit);
  if (wrong !== undefined) throw new RangeError(`${name} holds ${wrong}, expected 0 to ${limit - 1}`);
}
