import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  narrowToBfloat16,
  narrowToHalf,
  widenHalf,
  type FloatDtype,
} from '../../../core/formats/safetensors/dtypes.ts';
import { widenBfloat16 } from '../../../core/formats/safetensors/widen-bfloat16.ts';
import { SafetensorsFile, withSafetensors } from '../../../core/formats/safetensors/safetensors.ts';
import { writeSafetensors } from '../../../core/formats/safetensors/safetensors-writer.ts';
import { Random } from '../../../core/statistics/random.ts';
import { GOLDEN, temporaryFolder } from './support/folders.ts';

const DTYPES: FloatDtype[] = ['F32', 'F16', 'BF16'];

function rounded(data: Float32Array, dtype: FloatDtype): Float32Array {
  if (dtype === 'F32') return data;
  const wide = new Float32Array(data.length);
  if (dtype === 'BF16') widenBfloat16(narrowToBfloat16(data), wide);
  else widenHalf(narrowToHalf(data), wide);
  return wide;
}

describe('round trip', () => {
  it.each([1, 2, 3, 4, 5, 6])('keeps random tensors of random shapes and dtypes (seed %i)', async (seed) => {
    const random = Random.fromSeed(seed);
    const tensors = new Map(
      Array.from({ length: 1 + random.integer(8) }, (_, i) => {
        const shape = Array.from({ length: random.integer(4) }, () => random.integer(7));
        const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal());
        return [`tensor "${i}" ä.weight`, { shape, data, dtype: DTYPES[random.integer(3)]! }];
      }),
    );
    const path = join(await temporaryFolder(), 'a.safetensors');
    await writeSafetensors(path, tensors);
    await withSafetensors(path, async (file) => {
      expect(file.header.metadata).toEqual({ format: 'pt' });
      expect(file.names.sort()).toEqual([...tensors.keys()].sort());
      for (const [name, { shape, data, dtype }] of tensors) {
        expect(await file.read(name)).toEqual({ shape, data: rounded(data, dtype) });
        expect(file.entry(name).dtype).toBe(dtype);
      }
    });
  });

  it('reads a half-precision tensor larger than its read buffer', async () => {
    const data = Float32Array.from({ length: 2_200_000 }, (_, i) => (i % 251) - 125);
    const path = join(await temporaryFolder(), 'a.safetensors');
    await writeSafetensors(path, new Map([['w', { shape: [2_200_000], data }]]), { dtype: 'BF16' });
    const read = await withSafetensors(path, (file) => file.read('w'));
    expect(read.data.findIndex((value, i) => value !== data[i])).toBe(-1);
  });

  it('writes equal bytes whatever the order, and the very bytes of the reference implementation', async () => {
    const fixture = join(GOLDEN, 'llama-gqa-tied/adapter/adapter_model.safetensors');
    const tensors = await withSafetensors(fixture, async (file) => {
      const entries = file.names.map(async (name) => [name, await file.read(name)] as const);
      return (await Promise.all(entries)).reverse();
    });
    const path = join(await temporaryFolder(), 'a.safetensors');
    await writeSafetensors(path, new Map(tensors));
    expect((await readFile(path)).equals(await readFile(fixture))).toBe(true);
  });

  it('refuses to write a shape that does not fit, and leaves nothing', async () => {
    const path = join(await temporaryFolder(), 'a.safetensors');
    const tensors = new Map([['w', { shape: [2, 3], data: new Float32Array(5) }]]);
    await expect(writeSafetensors(path, tensors)).rejects.toThrow('tensor w of shape [2, 3] has 5 values, expected 6');
    await expect(SafetensorsFile.open(path)).rejects.toThrow('a.safetensors: file is missing');
  });
});

it('refuses a value that is not finite', async () => {
  const path = join(await temporaryFolder(), 'a.safetensors');
  await writeSafetensors(path, new Map([['w', { shape: [3], data: Float32Array.of(1, 2, Infinity) }]]));
  await withSafetensors(path, async (file) => {
    await expect(file.read('w')).rejects.toThrow('tensor w holds a value that is not finite: Infinity at flat index 2');
  });
});

async function fileOf(header: string, data: Uint8Array, declared = Buffer.byteLength(header)): Promise<string> {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(declared));
  const path = join(await temporaryFolder(), 'bad.safetensors');
  await writeFile(path, Buffer.concat([prefix, Buffer.from(header), data]));
  return path;
}

const W = (offsets: string, shape = '[2]', dtype = '"F32"') =>
  `{"dtype":${dtype},"shape":${shape},"data_offsets":${offsets}}`;

describe('a broken header is refused', () => {
  it.each([
    ['not JSON', '{"w":', 0, 'header is not valid JSON'],
    ['no object', '[]', 0, 'header is not a JSON object'],
    ['a key twice', `{"w":${W('[0,8]')},"w":${W('[0,8]')}}`, 8, 'key "w" is given twice'],
    ['a key twice, escaped', `{"w":${W('[0,8]')},"\\u0077":${W('[0,8]')}}`, 8, 'key "w" is given twice'],
    ['unknown dtype', `{"w":${W('[0,8]', '[2]', '"F33"')}}`, 8, 'tensor w has dtype "F33", expected one of F64, F32'],
    ['dtype of the prototype', `{"w":${W('[0,8]', '[2]', '"toString"')}}`, 8, 'has dtype "toString"'],
    ['negative size', `{"w":${W('[0,8]', '[-2]')}}`, 8, 'tensor w has shape [-2], expected sizes'],
    ['fraction', `{"w":${W('[0,8]', '[1.5]')}}`, 8, 'tensor w has shape [1.5]'],
    ['size beyond any file', `{"w":${W('[0,8]', '[9007199254740991,9007199254740991]')}}`, 8, 'tensor w has 8 bytes'],
    ['too few bytes', `{"w":${W('[0,4]')}}`, 4, 'tensor w has 4 bytes, expected 8 for F32 [2]'],
    ['end before begin', `{"w":${W('[8,0]')}}`, 8, 'tensor w has data_offsets [8,0]'],
    ['overlap', `{"a":${W('[0,8]')},"b":${W('[4,12]')}}`, 12, 'tensor b overlaps the tensor before it'],
    ['same bytes', `{"a":${W('[0,8]')},"b":${W('[0,8]')}}`, 8, 'tensor b overlaps the tensor before it'],
    ['hole', `{"a":${W('[0,8]')},"b":${W('[12,20]')}}`, 20, 'tensor b leaves a hole before it'],
    ['hole at the start', `{"a":${W('[4,12]')}}`, 12, 'tensor a leaves a hole before it'],
    ['data cut', `{"w":${W('[0,8]')}}`, 7, 'file ends before the data that its header declares'],
    ['data left over', `{"w":${W('[0,8]')}}`, 9, 'data after the last tensor'],
    ['unknown field', `{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, 8, 'the unknown field "x"'],
    ['metadata of numbers', '{"__metadata__":{"a":1}}', 0, '__metadata__ is not an object of strings'],
  ])('%s', async (_, header, dataBytes, message) => {
    const opened = SafetensorsFile.open(await fileOf(header, new Uint8Array(dataBytes)));
    await expect(opened).rejects.toMatchObject({ code: 'invalid_safetensors', file: 'bad.safetensors' });
    await expect(opened).rejects.toThrow(message);
  });

  it.each([
    ['longer than the file', 1000n, 'declared header length 1000 is larger than the file (10 bytes)'],
    ['longer than any file', 2n ** 64n - 1n, 'declared header length 18446744073709551615 is larger'],
  ])('length %s', async (_, declared, message) => {
    const bytes = Buffer.alloc(10, 0x20);
    bytes.writeBigUInt64LE(declared);
    const path = join(await temporaryFolder(), 'bad.safetensors');
    await writeFile(path, bytes);
    await expect(SafetensorsFile.open(path)).rejects.toThrow(message);
  });

  it('with a name that is no name, in one short line', async () => {
    const name = `evil\\n${'x'.repeat(500)}`;
    const opened = SafetensorsFile.open(await fileOf(`{"${name}":${W('[0,4]')}}`, new Uint8Array(4)));
    await expect(opened).rejects.toThrow(
      /^bad\.safetensors: tensor evil x{100,}… has 4 bytes, expected 8 for F32 \[2\]$/,
    );
    await expect(opened).rejects.toSatisfy((error: Error) => error.message.length < 250);
  });

  it('invalid UTF-8', async () => {
    const path = await fileOf('', Buffer.from([0x7b, 0xff, 0x7d]), 3);
    await expect(SafetensorsFile.open(path)).rejects.toThrow('header is not valid JSON');
  });

  it('a file of a few bytes', async () => {
    const path = join(await temporaryFolder(), 'bad.safetensors');
    await writeFile(path, 'abc');
    await expect(SafetensorsFile.open(path)).rejects.toThrow('file has 3 bytes, expected at least the 8');
  });
});
