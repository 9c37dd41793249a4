import type { FileHandle } from 'node:fs/promises';
import { writeFileAtomic, writeFully } from '../atomic-file.ts';
import { narrowToBfloat16, narrowToHalf, type FloatDtype } from './dtypes.ts';

export interface TensorToWrite {
  readonly shape: readonly number[];
  readonly data: Float32Array;
  /**
   * Dtype in which the tensor is stored. F16 and BF16 round to nearest, with ties to even. Default: the file's dtype.
   */
  readonly dtype?: FloatDtype;
}

interface WriteSafetensorsOptions {
  /** Dtype of every tensor that does not set its own. Default: F32. */
  readonly dtype?: FloatDtype;
  /** Metadata of the header. Default `{format: 'pt'}`, which transformers and PEFT require. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes tensors as a safetensors file, atomically. Equal tensors give equal bytes, whatever the order of the map:
 * wider dtypes come first, and tensors of one dtype are sorted by name, as in the reference implementation.
 * @throws Error if a shape does not match the length of its data
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorToWrite>,
  options: WriteSafetensorsOptions = {},
): Promise<void> {
  const fallback = options.dtype ?? 'F32';
  const order = [...tensors].map(([name, tensor]) => ({ name, tensor, dtype: tensor.dtype ?? fallback }));
  order.sort((a, b) => width(b.dtype) - width(a.dtype) || compare(a.name, b.name));
  const header = encodeHeader(order, options.metadata ?? { format: 'pt' });
  await writeFileAtomic(path, async (handle) => {
    await writeFully(handle, header);
    for (const { tensor, dtype } of order) await writeTensor(handle, tensor.data, dtype);
  });
}

interface Placed {
  readonly name: string;
  readonly tensor: TensorToWrite;
  readonly dtype: FloatDtype;
}

function encodeHeader(order: readonly Placed[], metadata: Readonly<Record<string, string>>): Uint8Array {
  let offset = 0;
  const fields: [string, unknown][] = [['__metadata__', metadata]];
  for (const { name, tensor, dtype } of order) {
    checkShape(name, tensor);
    const end = offset + tensor.data.length * width(dtype);
    fields.push([name, { dtype, shape: tensor.shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  // Join the entries by hand, because a JavaScript object would move names that look like numbers to the front.
  const json = `{${fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`;
  const text = Buffer.from(json, 'utf8');
  const padded = Math.ceil(text.length / 8) * 8;
  const header = new Uint8Array(8 + padded).fill(0x20, 8);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(text, 8);
  return header;
}

function checkShape(name: string, { shape, data }: TensorToWrite): void {
  const size = shape.reduce((product, length) => product * length, 1);
  if (size === data.length) return;
  throw new Error(`tensor ${name} of shape [${shape.join(', ')}] has ${data.length} values, expected ${size}`);
}

async function writeTensor(handle: FileHandle, data: Float32Array, dtype: FloatDtype): Promise<void> {
  const stored = dtype === 'F32' ? data : dtype === 'BF16' ? narrowToBfloat16(data) : narrowToHalf(data);
  await writeFully(handle, new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength));
}

function width(dtype: FloatDtype): number {
  return dtype === 'F32' ? 4 : 2;
}

/** Compares two names by code units, so that their order does not depend on the locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
