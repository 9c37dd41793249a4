import { readFileSync } from 'node:fs';
import path from 'node:path';
import { loadBaseModel } from '../../../../core/formats/hugging-face/hugging-face-model.ts';
import { loadAdapter } from '../../../../core/formats/peft/peft-adapter.ts';
import type { Adapter } from '../../../../core/models/lora/adapter.ts';
import type { ParseOptions } from '../../../../core/formats/hugging-face/config/parse-model-config.ts';
import type { BaseModel } from '../../../../core/models/base-model.ts';
import type { Batch } from '../../../../core/engine/runtime.ts';

const ROOT = path.join(import.meta.dirname, '../../../fixtures/golden');

interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export type Tensors = ReadonlyMap<string, StoredTensor>;

/** The groups of tensors that golden.json names; `train` are the trained ones. */
export type Group = 'logits' | 'loss' | 'grad' | 'merged' | 'train';

/** Largest differences between the reference's own float32 and float64 results in each group of tensors. */
interface RoundingGaps {
  readonly maxAbs: Readonly<Record<Group, number>>;
  readonly relativeL2: Readonly<Record<Group, number>>;
}

export interface GoldenCase {
  readonly base: BaseModel;
  readonly adapter: Adapter;
  readonly golden: Tensors;
  /** Undefined for a case without stated gaps. */
  readonly gaps: RoundingGaps | undefined;
}

/** Loads a case of the golden fixtures; `base` is the folder of the base model. */
export async function loadGoldenCase(name: string, base = 'base', options: ParseOptions = {}): Promise<GoldenCase> {
  const folder = path.join(ROOT, name);
  const model = await loadBaseModel(path.join(folder, base), options);
  const adapter = await loadAdapter(path.join(folder, 'adapter'), model.config);
  const golden = readTensors(path.join(folder, 'golden.safetensors'));
  return { base: model, adapter, golden, gaps: readGaps(path.join(folder, 'golden.json')) };
}

function readGaps(file: string): RoundingGaps | undefined {
  const { checks } = JSON.parse(readFileSync(file, 'utf8')) as { checks: Record<string, RoundingGaps['maxAbs']> };
  const [maxAbs, relativeL2] = [checks['float32_vs_float64_max_abs'], checks['float32_vs_float64_relative_l2']];
  return maxAbs && relativeL2 && { maxAbs, relativeL2 };
}

/** Reads the F32 and I64 tensors of a trusted file; ids become numbers. */
export function readTensors(file: string): Tensors {
  const bytes = readFileSync(file);
  const headerEnd = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, headerEnd)) as Record<string, Entry>;
  delete header['__metadata__'];
  return new Map(
    Object.entries(header).map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [from, to],
        },
      ]) => {
        const buffer = Uint8Array.from(bytes.subarray(headerEnd + from, headerEnd + to)).buffer;
        const data = dtype === 'I64' ? Float32Array.from(new BigInt64Array(buffer), Number) : new Float32Array(buffer);
        return [name, { shape, data }];
      },
    ),
  );
}

interface Entry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

export function values(tensors: Tensors, name: string): Float32Array {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`the fixture has no tensor ${name}`);
  return tensor.data;
}

/** A fixture's batch without padding, with the places of its labels in the padded batch. */
export interface GoldenBatch extends Batch {
  /** [labels] row · length + t of each label position, the index in the golden logits. */
  readonly paddedPositions: Int32Array;
}

/** Makes the fixture's batch with its own labels, where label t is predicted at position t − 1. */
export function labelBatch(golden: Tensors): GoldenBatch {
  const labels = values(golden, 'labels');
  const length = golden.get('input_ids')!.shape[1]!;
  const labelled = [...labels.keys()].filter((index) => index % length > 0 && labels[index] !== -100);
  return goldenBatch(
    golden,
    labelled.map((index) => ({ position: index - 1, id: labels[index]! })),
  );
}

/** Makes the fixture's batch with every real token as a label position. */
export function everyPositionBatch(golden: Tensors): GoldenBatch {
  return goldenBatch(
    golden,
    realTokens(golden).map((position) => ({ position, id: 0 })),
  );
}

/** Lists the flat indices of the tokens that the attention mask keeps. */
function realTokens(golden: Tensors): number[] {
  const mask = values(golden, 'attention_mask');
  return [...mask.keys()].filter((index) => mask[index] === 1);
}

function goldenBatch(
  golden: Tensors,
  labels: readonly { readonly position: number; readonly id: number }[],
): GoldenBatch {
  const [rows, length] = golden.get('input_ids')!.shape as [number, number];
  const inputIds = values(golden, 'input_ids');
  const tokens = realTokens(golden);
  const flatIndex = new Map(tokens.map((padded, flat) => [padded, flat]));
  return {
    inputIds: Int32Array.from(tokens, (index) => inputIds[index]!),
    sequenceLengths: Int32Array.from(
      { length: rows },
      (_, row) => tokens.filter((at) => Math.floor(at / length) === row).length,
    ),
    labelPositions: Int32Array.from(labels, ({ position }) => flatIndex.get(position)!),
    labelIds: Int32Array.from(labels, ({ id }) => id),
    paddedPositions: Int32Array.from(labels, ({ position }) => position),
  };
}
