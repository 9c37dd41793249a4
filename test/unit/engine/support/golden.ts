import { readFileSync } from 'node:fs';
import path from 'node:path';
import { loadBaseModel } from '../../../../workers/formats/hugging-face-model.ts';
import { loadAdapter } from '../../../../workers/formats/peft-adapter.ts';
import type { Adapter } from '../../../../workers/models/adapter.ts';
import type { BaseModel } from '../../../../workers/models/base-model.ts';
import type { Batch } from '../../../../workers/engine/runtime.ts';

const ROOT = path.join(import.meta.dirname, '../../../fixtures/golden');

interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export type Tensors = ReadonlyMap<string, StoredTensor>;

export interface GoldenCase {
  readonly base: BaseModel;
  readonly adapter: Adapter;
  readonly golden: Tensors;
}

/** A case of the golden fixtures; `base` is the folder of the base model. */
export async function loadGoldenCase(name: string, base = 'base'): Promise<GoldenCase> {
  const folder = path.join(ROOT, name);
  const model = await loadBaseModel(path.join(folder, base));
  const adapter = await loadAdapter(path.join(folder, 'adapter'), model.config);
  return { base: model, adapter, golden: readTensors(path.join(folder, 'golden.safetensors')) };
}

/** F32 and I64 tensors of a trusted file; ids become numbers. */
export function readTensors(file: string): Tensors {
  const bytes = readFileSync(file);
  const headerEnd = 8 + Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, headerEnd)) as Record<string, Entry>;
  delete header['__metadata__'];
  return new Map(
    Object.entries(header).map(([name, { dtype, shape, data_offsets: [from, to] }]) => {
      const buffer = Uint8Array.from(bytes.subarray(headerEnd + from, headerEnd + to)).buffer;
      const data = dtype === 'I64' ? Float32Array.from(new BigInt64Array(buffer), Number) : new Float32Array(buffer);
      return [name, { shape, data }];
    }),
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

/** The fixture's batch with its own labels: label t is predicted at position t − 1. */
export function labelBatch(golden: Tensors): Batch {
  const [rows, length] = golden.get('input_ids')!.shape as [number, number];
  const labels = values(golden, 'labels');
  const positions = [...labels.keys()].filter((index) => index % length > 0 && labels[index] !== -100);
  const targets = positions.map((index) => labels[index]!);
  return makeBatch(golden, { rows, length, positions: positions.map((index) => index - 1), targets });
}

/** The fixture's batch with every real token as a label position. */
export function everyPositionBatch(golden: Tensors): Batch {
  const [rows, length] = golden.get('input_ids')!.shape as [number, number];
  const mask = values(golden, 'attention_mask');
  const positions = [...mask.keys()].filter((index) => mask[index] === 1);
  return makeBatch(golden, { rows, length, positions, targets: positions.map(() => 0) });
}

interface Labels {
  readonly rows: number;
  readonly length: number;
  readonly positions: readonly number[];
  readonly targets: readonly number[];
}

function makeBatch(golden: Tensors, { rows, length, positions, targets }: Labels): Batch {
  return {
    rows,
    length,
    inputIds: Int32Array.from(values(golden, 'input_ids')),
    labelPositions: Int32Array.from(positions),
    labelTargets: Int32Array.from(targets),
    labelWeights: new Float32Array(positions.length).fill(1),
    tokens: values(golden, 'attention_mask').filter((bit) => bit === 1).length,
  };
}
