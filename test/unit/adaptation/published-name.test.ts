import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runAdaptation } from '../../../core/adaptation/run-adaptation.ts';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import { loadBaseModel } from '../../../core/formats/hugging-face/hugging-face-model.ts';
import { verifyAdapterFiles } from '../../../core/formats/peft/adapter-manifest.ts';
import { saveAdapter } from '../../../core/formats/peft/peft-adapter-writer.ts';
import { readAdapterConfig } from '../../../core/formats/peft/peft-config.ts';
import { plainJob } from '../training/support/tiny-job.ts';
import { createTinyFamily, removeTinyFamily, smallAdapter, type TinyFamily } from '../training/support/tiny-task.ts';

let family: TinyFamily;
let bases: BaseCache;
let adapter: string;

beforeAll(async () => {
  family = await createTinyFamily();
  bases = new BaseCache({ threads: 1 });
  adapter = path.join(family.folder, 'named by its tenant');
  const { config } = await loadBaseModel(family.oldBase);
  await saveAdapter(adapter, smallAdapter(config), { baseModelName: '../../somebody/else\u202e' });
});
afterAll(async () => {
  await bases.dispose();
  await removeTinyFamily(family);
});

it.each([
  { name: 'the given name', newBaseName: 'org/new-base', written: () => 'org/new-base' },
  { name: 'its folder without a name', newBaseName: undefined, written: () => family.newBase },
])("a copy is published for $name, whatever the tenant's own file says", async ({ name, newBaseName, written }) => {
  const published: string[] = [];
  const spec = plainJob(family, name, {
    adapter,
    newBaseName,
    gate: { kind: 'absolute', target: 100 },
    options: { strategy: 'reuse' },
  });
  const outcome = await runAdaptation(
    bases,
    spec,
    (event) => {
      if (event.type === 'publication') published.push(event.folder);
    },
    new AbortController().signal,
  );
  expect(outcome.state).toBe('ready');
  expect((await readAdapterConfig(published[0]!)).baseModelName).toBe(written());
  await verifyAdapterFiles(published[0]!);
});
