import path from 'node:path';
import { Writable } from 'node:stream';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTrainingProcess } from '../../../workers/training/training-process.ts';
import { readAdapterManifest } from '../../../core/formats/peft/adapter-manifest.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../../unit/training/support/tiny-task.ts';
import { tinyJob } from '../../unit/training/support/tiny-job.ts';

let family: TinyFamily;

beforeAll(async () => void (family = await createTinyFamily()));
afterAll(() => removeTinyFamily(family));

test.each([
  ['auto', 'f32', '0.1 million weights in layers are too few for int8 to pay'],
  ['int8', 'int8', 'asked for'],
] as const)('precision %s is said in the log and in what is published', async (setting, precision, reason) => {
  const lines: string[] = [];
  const log = new Writable({
    write(chunk: Buffer, _, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const training = createTrainingProcess({ logger: pino(log), bases: { threads: 1, precision: setting } });
  try {
    const never = new AbortController().signal;
    const slot = await training.acquire(never);
    const spec = tinyJob(family, setting, { gate: { kind: 'absolute', target: 99 }, options: { max_steps: 1 } });
    let folder = '';
    const outcome = await slot.adapt(
      spec,
      (event) => void (event.type === 'publication' && (folder = event.folder)),
      never,
    );
    expect(outcome.state).toBe('ready');
    expect(await readAdapterManifest(path.resolve(folder))).toMatchObject({ precision });
    const loaded = lines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ msg }) => msg === 'base loaded');
    expect(loaded).toEqual(
      [family.oldBase, family.newBase].map((base) => expect.objectContaining({ base, precision, reason }) as unknown),
    );
  } finally {
    await training.stop();
  }
});
