import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadBaseModel } from '../../../core/formats/hugging-face/hugging-face-model.ts';
import { saveAdapter } from '../../../core/formats/peft/peft-adapter-writer.ts';
import { createAdapter } from '../../../core/models/lora/lora-init.ts';
import type { JobSpec } from '../../../core/adaptation/job-spec.ts';
import { Child } from '../../unit/training/support/child.ts';
import {
  createTinyFamily,
  removeTinyFamily,
  tasteRows,
  toJsonl,
  type TinyFamily,
} from '../../unit/training/support/tiny-task.ts';
import type { Gauges } from './soak-process.ts';
import { outcomeOf, tinyJob } from '../../unit/training/support/tiny-job.ts';

const JOBS = 55;
/** Number of jobs after which the cache of compiled programs is full, and jobs evict programs of earlier ones. */
const WARM_UP = 35;
/** Allowed growth of the resident set after the warm-up, in MiB. A leak of 1 MiB per job would be 20. */
const GROWTH_MIB = 10;
/** Limit of 32 programs for each of the two base model versions. */
const MAX_SESSIONS = 64;

/** With four sets of modules, 32 adapters, whose 64 programs fill the cache in as many jobs. */
const RANKS = [1, 2, 3, 4, 5, 6, 7, 8];
const TARGETS = [
  ['q_proj'],
  ['q_proj', 'v_proj'],
  ['up_proj', 'down_proj'],
  ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj'],
];
const WORDS = [0, 4, 9, 15, 22];
const BATCH_SIZES = [1, 2, 3, 4, 6, 8, 16];

let family: TinyFamily;
let child: Child;
const adapters: string[] = [];
const data: string[] = [];

beforeAll(async () => {
  family = await createTinyFamily();
  child = new Child(fileURLToPath(new URL('./soak-process.ts', import.meta.url)));
  await child.waitFor(({ type }) => type === 'online');
  const { config: base, weights } = await loadBaseModel(family.oldBase);
  for (const rank of RANKS) {
    for (const targetModules of TARGETS) {
      const folder = path.join(family.folder, `adapter-${adapters.length}`);
      await saveAdapter(
        folder,
        createAdapter({ base, weights, targetModules, rank, alpha: 8, useDora: rank % 2 === 0, seed: rank }),
      );
      adapters.push(folder);
    }
  }
  for (const words of WORDS) {
    const file = path.join(family.folder, `words-${words}.jsonl`);
    // Lengths differ, so that few batches have the same size.
    const rows = tasteRows(30).map((row, i) => {
      const prompt = `${'sour '.repeat((7 * i) % (words + 1))}${row.prompt}`;
      return { ...row, prompt, split: ['training', 'search', 'gate'][i % 3] };
    });
    await writeFile(file, toJsonl(rows));
    data.push(file);
  }
});
afterAll(async () => {
  await child.kill();
  await removeTinyFamily(family);
});

/**
 * Job whose adapter, data and batch size rarely repeat in combination, because their numbers have few common factors.
 */
function job(index: number): JobSpec {
  return tinyJob(family, `job-${index}`, {
    kind: index % 5 === 0 ? 'adaptation' : 'control',
    adapter: adapters[index % adapters.length]!,
    data: { file: data[index % data.length]! },
    options: { max_steps: 2, evaluate_every: 2, batch_size: BATCH_SIZES[index % BATCH_SIZES.length]! },
  });
}

async function gauges(): Promise<Gauges> {
  const report = child.waitFor((message) => (message.type as string) === 'gauges');
  process.kill(child.pid, 'SIGUSR2');
  return (await report) as unknown as Gauges;
}

test(`${JOBS} jobs of different shapes leave nothing behind in the process`, async () => {
  const seen: Gauges[] = [];
  for (let index = 1; index <= JOBS; index++) {
    outcomeOf(await child.request({ type: 'adapt', requestId: `r${index}`, spec: job(index) }));
    child.reset();
    if (index >= WARM_UP && index % 5 === 0) seen.push(await gauges());
  }
  const [warm, ...later] = seen as [Gauges, ...Gauges[]];
  const largest = Math.max(...later.map(({ rssBytes }) => rssBytes));
  expect(largest / 2 ** 20).toBeLessThan(warm.rssBytes / 2 ** 20 + GROWTH_MIB);
  // Batches of all sizes use the same programs of their adapter.
  expect(later.at(-1)!.made / JOBS).toBeLessThan(3);
  // Programs were evicted.
  expect(later.at(-1)!.made).toBeGreaterThan(MAX_SESSIONS);
  for (const { tensors, sessions } of seen) {
    expect(tensors).toBe(warm.tensors);
    expect(sessions).toBeGreaterThan(0);
    expect(sessions).toBeLessThanOrEqual(MAX_SESSIONS);
  }
});
