import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ADAPTER_OUTCOMES, encodeOutcomes, readAdapterOutcomes } from '../../../core/formats/peft/adapter-outcomes.ts';
import { saveAdapter } from '../../../core/formats/peft/peft-adapter-writer.ts';
import { loadAdapter } from '../../../core/formats/peft/peft-adapter.ts';
import { readModelConfig } from '../../../core/formats/hugging-face/model-weights.ts';
import { GOLDEN, temporaryFolder } from './support/folders.ts';

const OUTCOMES = { baseFingerprint: 'b', adapterSha256: 'a', rows: new Map([['row', 0.25]]) };

async function folderWith(text: string): Promise<string> {
  const folder = await temporaryFolder();
  await writeFile(join(folder, ADAPTER_OUTCOMES), text);
  return folder;
}

it('reads what was written', async () => {
  expect(await readAdapterOutcomes(await folderWith(encodeOutcomes(OUTCOMES)))).toEqual(OUTCOMES);
});

it('returns null for an adapter without outcomes', async () => {
  expect(await readAdapterOutcomes(await temporaryFolder())).toBeNull();
});

it('leaves an adapter usable whose outcomes were removed', async () => {
  const base = await readModelConfig(join(GOLDEN, 'llama-gqa-tied', 'base'));
  const adapter = await loadAdapter(join(GOLDEN, 'llama-gqa-tied', 'adapter'), base);
  const folder = join(await temporaryFolder(), 'adapter');
  await saveAdapter(folder, adapter, { manifest: { baseFingerprint: 'b' }, outcomes: OUTCOMES.rows });
  expect(await readAdapterOutcomes(folder)).toMatchObject({ baseFingerprint: 'b', rows: OUTCOMES.rows });
  await rm(join(folder, ADAPTER_OUTCOMES));
  expect(await loadAdapter(folder, base)).toEqual(adapter);
});

const JSON_TEXT = JSON.parse(encodeOutcomes(OUTCOMES)) as object;
it.each<[string, unknown, RegExp]>([
  ['a list', [], /is not a JSON object/],
  ['another format', { ...JSON_TEXT, format: 'x' }, /format is "x", expected readapt.outcomes.v1/],
  ['no fingerprint', { ...JSON_TEXT, base_fingerprint: 3 }, /base_fingerprint is missing/],
  ['no checksum', { ...JSON_TEXT, adapter_sha256: null }, /adapter_sha256 is missing/],
  ['no rows', { ...JSON_TEXT, rows: [1] }, /rows is missing/],
  ['a row without a number', { ...JSON_TEXT, rows: { r: '1' } }, /rows has "1" for r, expected a number/],
])('refuses %s and says what to do', async (_, json, message) => {
  const folder = await folderWith(JSON.stringify(json));
  await expect(readAdapterOutcomes(folder)).rejects.toMatchObject({
    code: 'invalid_outcomes',
    file: ADAPTER_OUTCOMES,
    message: expect.stringMatching(message),
  });
  await expect(readAdapterOutcomes(folder)).rejects.toThrow(/Without this file, the adapter is measured/);
});
