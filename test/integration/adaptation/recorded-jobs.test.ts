import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JobEvent } from '../../../core/adaptation/job-events.ts';
import type { JobOutcome } from '../../../core/adaptation/job-outcome.ts';
import type { JobSpec } from '../../../core/adaptation/job-spec.ts';
import type { GateOutcomes } from '../../../core/adaptation/measurements/gate-outcomes.ts';
import { CancelledError, runAdaptation } from '../../../core/adaptation/run-adaptation.ts';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import { packagePath } from '../../../core/installation/package-path.ts';
import type { CandidateRecord } from '../../../core/method/ladder/candidate.ts';

const family = (...parts: string[]) => packagePath(path.join('examples/demo-family', ...parts));

/** Jobs with the demo's adapters and rows: copy, then a short search and a short training. */
const JOBS = {
  accuracy: { task: 'agnews', adapter: 'agnews-small', metric: 'accuracy', margin: 0.09, state: 'ready' },
  'exact match': { task: 'plural', adapter: 'plural-small', metric: 'exact_match', margin: 0.06, state: 'ready' },
  loss: { task: 'plural', adapter: 'plural-small', metric: 'loss', margin: 0.01, state: 'not_ready' },
} as const;
type EntryName = keyof typeof JOBS;

let folder: string;
let bases: BaseCache;
const old = new Map<EntryName, GateOutcomes>();

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'recorded-jobs-'));
  bases = new BaseCache({ threads: 1 });
  for (const { task } of Object.values(JOBS)) {
    const of = { training: 'train-small.jsonl', search: 'validation.jsonl', gate: 'test.jsonl' };
    const rows = await Promise.all(
      Object.entries(of).map(([split, file]) => rowsOf(family('data', task, file), split)),
    );
    await writeFile(dataOf(task), rows.flat().join('\n'));
  }
});
afterAll(async () => {
  await bases.dispose();
  await rm(folder, { recursive: true, force: true });
});

const dataOf = (task: string): string => path.join(folder, `${task}.jsonl`);

/** Reads rows, and notes in each which split it belongs to. */
async function rowsOf(file: string, split: string): Promise<string[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.stringify({ ...(JSON.parse(line) as object), split }));
}

function specOf(name: EntryName, run: string): JobSpec {
  const { task, adapter, metric, margin } = JOBS[name];
  return {
    jobId: run,
    kind: 'adaptation',
    oldBase: family('v1'),
    newBase: family('v2'),
    adapter: family('adapters', adapter),
    data: { file: dataOf(task) },
    metric,
    gate: { kind: 'relative', margin },
    evolution: null,
    options: {
      prefer: 'new_base',
      search_evaluations: 3,
      search_rows: 16,
      max_steps: 4,
      batch_size: 4,
      evaluate_every: 2,
    },
    workDir: path.join(folder, `${name} ${run}`),
    baselines: 'needed',
    oldOutcomes: old.get(name) ?? null,
  };
}

interface Recorded {
  readonly outcome: JobOutcome;
  readonly candidates: readonly CandidateRecord[];
  /** Digests of the published adapters. */
  readonly published: readonly string[];
  /** Digest of the best adapter, which is kept if none was published. */
  readonly kept: string | null;
}

async function record(name: EntryName, run: string, stopAfter = Infinity): Promise<Recorded> {
  const candidates: CandidateRecord[] = [];
  const published: string[] = [];
  const controller = new AbortController();
  const onEvent = async (event: JobEvent): Promise<void> => {
    if (event.type === 'old_measured') old.set(name, event.outcomes);
    if (event.type === 'publication') published.push(await digestOf(event.folder));
    if (event.type === 'candidate' && candidates.push(event.candidate) === stopAfter) {
      controller.abort(new CancelledError({ keep: false }));
    }
  };
  const outcome = await runAdaptation(bases, specOf(name, run), onEvent, controller.signal);
  const kept = outcome.candidateFolder && (await digestOf(outcome.candidateFolder));
  return { outcome, candidates, published, kept };
}

async function digestOf(adapter: string): Promise<string> {
  const files = ['adapter_model.safetensors', 'adapter_config.json', 'readapt-outcomes.json'];
  const hash = createHash('sha256');
  for (const file of files) hash.update(await readFile(path.join(adapter, file)));
  return hash.digest('hex');
}

const untimed = ({ elapsedMs: _, ...record }: CandidateRecord) => record;

const isEarly = ({ metric }: CandidateRecord): boolean => metric.available !== undefined;

describe.each(Object.keys(JOBS) as EntryName[])('a job with the metric %s', (name) => {
  let whole: Recorded;
  beforeAll(async () => void (whole = await record(name, 'whole')));

  it('ends looks before all gate rows are measured', () => {
    expect(whole.outcome.state).toBe(JOBS[name].state);
    expect(whole.candidates.some(isEarly)).toBe(true);
    for (const { metric, verdict } of whole.candidates.filter(isEarly)) {
      expect(metric.available).toBe(400);
      expect(['passed', 'failed', 'inconclusive']).toContain(verdict);
    }
  });

  it('resumes to the same bits when it is killed behind a look that has ended early', async () => {
    const first = whole.candidates.findIndex(isEarly) + 1;
    const killed = await record(name, 'killed', first);
    expect(killed.outcome.state).toBe('cancelled');
    const resumed = await record(name, 'killed');
    expect([...killed.candidates, ...resumed.candidates].map(untimed)).toEqual(whole.candidates.map(untimed));
    expect([resumed.published, resumed.kept]).toEqual([whole.published, whole.kept]);
    expect(untimed(resumed.outcome.best!)).toEqual(untimed(whole.outcome.best!));
  });
});
