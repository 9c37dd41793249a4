import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTinyFamily, removeTinyFamily, toJsonl, type TinyFamily } from '../training/support/tiny-task.ts';
import { readaptJson } from './support/readapt.ts';

const adapter = path.join(import.meta.dirname, '../../fixtures/golden/llama-gqa-tied/adapter');

let family: TinyFamily;

beforeAll(async () => {
  family = await createTinyFamily();
});
afterAll(() => removeTinyFamily(family));

const out = (name: string): string => path.join(family.folder, name);

describe('readapt eval', () => {
  it('measures loss and accuracy on the first rows that --limit allows', async () => {
    const { code, document } = await readaptJson(
      'eval',
      '--base',
      family.oldBase,
      '--data',
      family.validation,
      '--limit',
      '10',
    );
    expect(code).toBe(0);
    expect(Object.keys(document)).toEqual(['loss', 'accuracy', 'examples', 'tokens', 'seconds']);
    expect(document).toMatchObject({ examples: 10, loss: expect.any(Number), accuracy: expect.any(Number) });
  });

  it('measures the same loss on two devices', async () => {
    const args = ['eval', '--base', family.oldBase, '--adapter', adapter, '--data', family.validation, '--limit', '6'];
    const compiled = await readaptJson(...args);
    const eager = await readaptJson(...args, '--device', 'tfjs-cpu');
    expect(eager.document.loss).toBeCloseTo(compiled.document.loss, 4);
  });

  it('names the chosen precision of the base, and the reason', async () => {
    const args = ['eval', '--base', family.oldBase, '--data', family.validation, '--limit', '6'];
    const { stderr } = await readaptJson(...args, '--precision', 'auto');
    expect(stderr).toContain(`${family.oldBase} in f32: 0.1 million weights in layers are too few for int8 to pay\n`);
  });

  it('measures no accuracy if there are many different completions', async () => {
    const rows = Array.from({ length: 30 }, (_, i) => ({ prompt: `Number ${i}:`, completion: ` ${i}` }));
    await writeFile(out('numbers.jsonl'), toJsonl(rows));
    const { document } = await readaptJson('eval', '--base', family.oldBase, '--data', out('numbers.jsonl'));
    expect(document.accuracy).toBeNull();
  });
});
