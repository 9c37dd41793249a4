import type { Adapter, LoraFactors } from '../models/adapter.ts';
import type { BaseModel } from '../models/base-model.ts';
import { factorNames, gradientNames, type ProgramKind, type ProgramShape } from '../models/decoder/program.ts';
import type { Batch, GradientResult } from './runtime.ts';

/** Data for a program's inputs other than the base's weights, by name. */
export type InputData = ReadonlyMap<string, Float32Array | Int32Array>;

/** What a call's program is specialised to. Adapters with equal ranks share it. */
export function programShape(adapter: Adapter | null, batch: Batch): ProgramShape {
  const ranks = new Map([...(adapter?.modules ?? [])].map(([module, factors]) => [module, factors.rank]));
  return { rows: batch.rows, length: batch.length, labels: batch.labelPositions.length, ranks };
}

/** Equal for calls that can share a compiled program. */
export function programKey(kind: ProgramKind, shape: ProgramShape): string {
  const ranks = [...shape.ranks].map(([module, rank]) => `${module}:${rank}`).join();
  return `${kind}|${shape.rows}x${shape.length}|${shape.labels}|${ranks}`;
}

/** The arrays themselves, no copies: factors, scalings, batch and gradient scale. */
export function inputData(adapter: Adapter | null, batch: Batch, gradientScale: number): InputData {
  const modules = [...(adapter?.modules ?? [])];
  return new Map<string, Float32Array | Int32Array>([
    ...modules.flatMap(([module, factors]) => factorData(module, factors)),
    ['scalings', Float32Array.from(modules, ([, factors]) => factors.scaling)],
    ['input_ids', batch.inputIds],
    ['label_positions', batch.labelPositions],
    ['label_targets', batch.labelTargets],
    ['label_weights', batch.labelWeights],
    ['gradient_scale', Float32Array.of(gradientScale)],
  ]);
}

function factorData(module: string, factors: LoraFactors): [string, Float32Array][] {
  const names = factorNames(module);
  return [
    [names.a, factors.a],
    [names.b, factors.b],
  ];
}

/** A `gradients` program's outputs as the runtime's result. */
export function gradientResult(adapter: Adapter, output: (name: string) => Float32Array): GradientResult {
  const gradients = [...adapter.modules.keys()].map((module) => {
    const names = gradientNames(module);
    return [module, { a: output(names.a), b: output(names.b) }] as const;
  });
  return { lossSum: output('loss_sum')[0]!, gradients: new Map(gradients) };
}

/**
 * Refuses a call whose arrays do not fit together or whose ids lie outside the base's vocabulary: neither runtime
 * would report them clearly.
 * @throws RangeError naming the field, the value found and what was expected
 */
export function checkCall(base: BaseModel, adapter: Adapter | null, batch: Batch): void {
  const { rows, length, labelPositions, labelTargets, labelWeights, inputIds } = batch;
  const labels = labelPositions.length;
  if (labels === 0) throw new RangeError('the batch has no label positions, expected at least one');
  expectLength('inputIds', inputIds.length, rows * length);
  expectLength('labelTargets', labelTargets.length, labels);
  expectLength('labelWeights', labelWeights.length, labels);
  expectBelow('inputIds', inputIds, base.config.vocabSize);
  expectBelow('labelTargets', labelTargets, base.config.vocabSize);
  expectBelow('labelPositions', labelPositions, rows * length);
  if (adapter?.modules.size === 0) throw new RangeError('the adapter has no modules, expected at least one');
}

function expectLength(name: string, found: number, expected: number): void {
  if (found !== expected) throw new RangeError(`batch.${name} has ${found} elements, expected ${expected}`);
}

function expectBelow(name: string, values: Int32Array, limit: number): void {
  const wrong = values.find((value) => value < 0 || value >= limit);
  if (wrong !== undefined) throw new RangeError(`batch.${name} holds ${wrong}, expected 0 to ${limit - 1}`);
}
