import { cp, readFile, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FormatError } from '../../../workers/formats/errors.ts';
import { Session } from '../../../workers/training/session.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from './support/tiny-task.ts';

let family: TinyFamily;
let session: Session;

beforeAll(async () => {
  family = await createTinyFamily();
  session = new Session({ device: 'tfjs-cpu' });
});
afterAll(async () => {
  await session.dispose();
  await removeTinyFamily(family);
});

describe('Session', () => {
  it('keeps both versions warm and lets go of the one unused for longest', async () => {
    const old = await session.base(family.oldBase);
    const next = await session.base(family.newBase);
    expect(next.model.fingerprint).not.toBe(old.model.fingerprint);
    expect(next.tokenizerHash).toBe(old.tokenizerHash);
    expect(await session.base(family.oldBase)).toBe(old);

    const third = path.join(family.folder, 'v3');
    await cp(family.newBase, third, { recursive: true });
    await session.base(third);
    expect(await session.base(family.oldBase)).toBe(old);
    expect(await session.base(family.newBase)).not.toBe(next);
  });

  it('loads a folder anew whose files were replaced', async () => {
    const before = await session.base(family.newBase);
    const weights = path.join(family.newBase, 'model.safetensors');
    const bytes = await readFile(weights);
    bytes.writeFloatLE(0.125, bytes.length - 4);
    await writeFile(weights, bytes);
    await utimes(weights, new Date(), new Date(Date.now() + 5000));
    const after = await session.base(family.newBase);
    expect(after.model.fingerprint).not.toBe(before.model.fingerprint);
  });

  it('fails with the reason every time for a folder that cannot be loaded', async () => {
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(session.base(family.adapter)).rejects.toThrow(FormatError);
      await expect(session.base('/nowhere')).rejects.toThrow('/nowhere: folder does not exist');
    }
  });
});
