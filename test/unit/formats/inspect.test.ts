import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FormatError } from '../../../core/formats/errors.ts';
import { inspectFolder } from '../../../core/formats/inspect.ts';
import { GOLDEN, temporaryFolder } from './support/folders.ts';

const Q = 'base_model.model.model.layers.0.self_attn.q_proj';

/**
 * Texts that the message must contain, by case: the file, the part at fault, the value found and the value expected.
 */
const SAYS: Record<string, string[]> = {
  'truncated-safetensors': ['file ends before the data that its header declares', '936 bytes', 'expected 976'],
  'header-too-long': ['declared header length 5072 is larger than the file (976 bytes)'],
  'nan-tensor': [`tensor ${Q}.lora_B.weight holds a value that is not finite`, 'NaN'],
  'missing-lora-b': ['layers.0.self_attn.q_proj has lora_A but no lora_B', `${Q}.lora_B.weight is missing`],
  'unexpected-key': [
    'unexpected key base_model.model.model.layers.7.self_attn.q_proj.lora_A',
    'the base has no layer 7',
  ],
  'wrong-rank-shape': [
    `${Q}.lora_A.weight has shape [3, 16], expected [2, 16]`,
    'differs from r = 2 in adapter_config.json',
  ],
  'other-base-shape': ['made for another base', 'lora_A has 24 inputs, this base has 16', '[2, 24], expected [2, 16]'],
  'unknown-model-type': ['model_type is "zebra"', 'supported: llama'],
  'shard-path-traversal': ['"../outside/model.safetensors" leaves the model folder'],
  'zero-byte-file': ['file is empty'],
};

interface BrokenCase {
  readonly case: string;
  readonly file: string;
  readonly valid: boolean;
}

const CASES = JSON.parse(readFileSync(join(GOLDEN, 'broken/broken.json'), 'utf8')) as BrokenCase[];

describe('broken inputs', () => {
  it('has an expectation for every case', () => {
    const broken = CASES.filter(({ valid }) => !valid).map((entry) => entry.case);
    expect(Object.keys(SAYS).sort()).toEqual(broken.sort());
  });

  it.each(CASES.filter(({ valid }) => !valid))('$case is refused', async ({ case: name, file }) => {
    const folder = join(GOLDEN, 'broken', name);
    const error: unknown = await inspectFolder(join(folder, 'adapter'), join(folder, 'base')).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(FormatError);
    const { message, file: named } = error as FormatError;
    expect(named).toBe(file.slice(file.indexOf('/') + 1));
    expect(message.startsWith(`${named}: `)).toBe(true);
    for (const text of SAYS[name]!) expect(message).toContain(text);
    if (!file.startsWith('base/')) return;
    await expect(inspectFolder(join(folder, 'base'))).rejects.toThrow(message);
  });

  it('control loads', async () => {
    const folder = join(GOLDEN, 'broken/control');
    expect(await inspectFolder(join(folder, 'adapter'), join(folder, 'base'))).toMatchObject({
      kind: 'adapter',
      rank: 2,
      alpha: 4,
      targets: ['q_proj', 'v_proj'],
      modules: 2,
      parameters: 2 * 16 + 16 * 2 + 2 * 16 + 8 * 2,
      architecture: 'llama',
    });
    expect(await inspectFolder(join(folder, 'base'))).toMatchObject({
      kind: 'base_model',
      architecture: 'llama',
      parameters: 2992,
    });
  });
});

describe('an adapter without its base', () => {
  it('is described', async () => {
    const found = await inspectFolder(join(GOLDEN, 'llama-patterns/adapter'));
    expect(found).toMatchObject({ kind: 'adapter', rank: 4, largestRank: 6, alpha: 8, modules: 14, fingerprint: null });
    expect(found).toMatchObject({ hasPeftKeys: true });
  });

  it.each(['wrong-rank-shape', 'missing-lora-b', 'nan-tensor', 'unexpected-key', 'zero-byte-file'])(
    'is refused where it contradicts itself: %s',
    async (name) => {
      await expect(inspectFolder(join(GOLDEN, 'broken', name, 'adapter'))).rejects.toBeInstanceOf(FormatError);
    },
  );
});

it('says what a folder lacks that is neither', async () => {
  const folder = await temporaryFolder();
  await expect(inspectFolder(folder)).rejects.toThrow('holds neither config.json');
  await expect(inspectFolder(join(folder, 'nowhere'))).rejects.toThrow('folder does not exist');
  await expect(inspectFolder(join(GOLDEN, 'broken/control/base'), folder)).rejects.toThrow(
    'adapter_config.json: is missing',
  );
});
