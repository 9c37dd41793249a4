import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FormatError } from '../../../core/formats/errors.ts';
import { parseStrictJson } from '../../../core/formats/json.ts';
import { describeAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import { readModelConfig } from '../../../core/formats/hugging-face/model-weights.ts';
import { SafetensorsFile } from '../../../core/formats/safetensors/safetensors.ts';
import { ADAPTER_HEADER } from '../../../core/formats/safetensors/safetensors-header.ts';
import {
  headerOfTensors,
  hostileAdapters,
  safetensorsOf,
  soundAdapter,
  type AdapterFiles,
} from '../../integration/support/hostile-adapters.ts';
import { timeProcessor } from '../../processor-time.ts';
import { GOLDEN, temporaryFolder } from './support/folders.ts';

/**
 * Limit of processor time: several times that of the slowest case, which uses the whole second that regular expressions
 * get.
 */
const MOST_MS = 4000;

async function folderOf(files: AdapterFiles): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
  return folder;
}

const base = () => readModelConfig(join(GOLDEN, 'broken/control/base'));

describe('a hostile adapter is refused soon, in a short message:', () => {
  it.each(Object.entries(hostileAdapters))('%s', async (_, { files, refusal }) => {
    const folder = await folderOf(files());
    const model = await base();
    const describing = () => describeAdapter(folder, model).catch((thrown: unknown) => thrown);
    const { result: error, processorMs } = await timeProcessor<unknown>(describing);
    expect(processorMs).toBeLessThan(MOST_MS);
    expect(error).toBeInstanceOf(FormatError);
    const { message, subject = '' } = error as FormatError;
    expect(message).toMatch(refusal);
    expect(message.length).toBeLessThan(500);
    expect(subject.length).toBeLessThanOrEqual(120);
  });

  it('while the sound one is described, and in pieces', async () => {
    const found = await describeAdapter(await folderOf(soundAdapter()), await base());
    expect(found).toMatchObject({ largestRank: 2, hasPeftKeys: true });
    expect(found.parameters).toBeGreaterThan(0);
  });
});

describe('a header', () => {
  async function open(names: Iterable<string>, limits = ADAPTER_HEADER): Promise<SafetensorsFile> {
    const path = join(await temporaryFolder(), 'w.safetensors');
    await writeFile(path, safetensorsOf(headerOfTensors(names)));
    return SafetensorsFile.open(path, 'w.safetensors', limits);
  }
  const names = (count: number) => Array.from({ length: count }, (_, i) => `layers.${i}.q_proj.lora_A.weight`);

  it('may hold as many tensors as the limit says, and not one more', async () => {
    const file = await open(names(ADAPTER_HEADER.tensors));
    expect(file.names).toHaveLength(ADAPTER_HEADER.tensors);
    await file.close();
    await expect(open(names(ADAPTER_HEADER.tensors + 2))).rejects.toThrow('more than 32769 keys in one object');
  });

  it('may hold names of 512 characters', async () => {
    await (await open(['x'.repeat(512)])).close();
    await expect(open(['x'.repeat(513)])).rejects.toThrow('has a key of 513 characters');
  });

  it('of a base model may be longer than that of an adapter', async () => {
    const path = join(await temporaryFolder(), 'w.safetensors');
    await writeFile(path, safetensorsOf(headerOfTensors(names(60_000))));
    await (await SafetensorsFile.open(path)).close();
    await expect(SafetensorsFile.open(path, 'w', ADAPTER_HEADER)).rejects.toThrow('over the limit of 4194304 bytes');
  });
});

describe('JSON', () => {
  it.each(['"', '"\\', '{"a', '{"a":"', '}}]]{', '{"a\\u":1}', '[1,', ''])('%s, which is cut, is not valid', (text) => {
    expect(() => parseStrictJson(text)).toThrow(SyntaxError);
  });

  it('may be nested 64 levels deep', () => {
    expect(parseStrictJson(`${'['.repeat(64)}${']'.repeat(64)}`)).toBeInstanceOf(Array);
    expect(() => parseStrictJson(`${'['.repeat(65)}${']'.repeat(65)}`)).toThrow('is nested deeper than 64 levels');
  });
});
