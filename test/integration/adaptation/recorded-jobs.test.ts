import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { JobEvent } from '../../../core/adaptation/job-events.ts';
import type { JobOutcome } from '../../../core/adaptation/job-outcome.ts';
import type { JobSpec } from '../../../core/adaptation/job-spec.ts';
import type { GateOutcomes } from '../../../core/adaptation/measurements/gate-outcomes.ts';
import { Measurements } from '../../../core/adaptation/measurements/measurements.ts';
import { CancelledError, runAdaptation } from '../../../core/adaptation/run-adaptation.ts';
import { BaseCache } from '../../../core/engine/base-cache.ts';
import { packagePath } from '../../../core/installation/package-path.ts';
import type { CandidateRecord } from '../../../core/method/ladder/candidate.ts';

const family = (...parts: string[]) => packagePath(path.join('examples/demo-family', ...parts));

/** Number of gate rows used, out of the demo's 400. */
const GATE_ROWS = 200;

/** Jobs with the demo's adapters and rows: copy, then a short search and a short training. */
const JOBS = {
  accuracy: { task: 'agnews', adapter: 'agnews-small', metric: 'accuracy', margin: 0.09, state: 'ready' },
  'exact match': { task: 'plural', adapter: 'plural-small', metric: 'exact_match', margin: 0.06, state: 'not_ready' },
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
    const rows = (await readFile(family('data', task, 'test.jsonl'), 'utf8')).split('\n').slice(0, GATE_ROWS);
    await writeFile(gateRows(task), rows.join('\n'));
  }
});
afterEach(() => vi.restoreAllMocks());
afterAll(async () => {
  await bases.dispose();
  await rm(folder, { recursive: true, force: true });
});

const gateRows = (task: string): string => path.join(folder, `${task}.jsonl`);

function specOf(name: EntryName, run: string): JobSpec {
  const { task, adapter, metric, margin } = JOBS[name];
  return {
    jobId: run,
    kind: 'adaptation',
    oldBase: family('v1'),
    newBase: family('v2'),
    adapter: family('adapters', adapter),
    data: { train: family('data', task, 'train-small.jsonl'), validation: gateRows(task) },
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

/** Disables early stopping: every evaluation measures all parts. */
function lookWhole() {
  const look = Measurements.prototype.lookAtGate;
  vi.spyOn(Measurements.prototype, 'lookAtGate').mockImplementation(function (this: Measurements, base, adapter, how) {
    return look.call(this, base, adapter, { ...how, isOver: () => false });
  });
}

const untimed = ({ elapsedMs: _, ...record }: CandidateRecord) => record;

describe.each(Object.keys(JOBS) as EntryName[])('a job with the metric %s', (name) => {
  let curtailed: Recorded;
  beforeAll(async () => void (curtailed = await record(name, 'curtailed')));

  it('has the same verdicts, versions and digests whether its looks are curtailed or whole', async () => {
    lookWhole();
    const whole = await record(name, 'whole');
    const verdictsOf = ({ candidates }: Recorded) => candidates.map(({ id, verdict }) => [id, verdict]);
    expect(verdictsOf(curtailed)).toEqual(verdictsOf(whole));
    expect(curtailed.candidates.some(({ metric }) => metric.curtailed)).toBe(true);
    expect(whole.candidates.some(({ metric }) => metric.curtailed)).toBe(false);
    expect([curtailed.outcome.state, whole.outcome.state]).toEqual([JOBS[name].state, JOBS[name].state]);
    expect(curtailed.published).toEqual(whole.published);
    for (const [i, candidate] of curtailed.candidates.entries()) {
      if (!candidate.metric.curtailed) expect(untimed(candidate)).toEqual(untimed(whole.candidates[i]!));
    }
    const { best } = curtailed.outcome;
    expect(untimed(best!)).toEqual(untimed(whole.candidates.find(({ id }) => id === best!.id)!));
  });

  it('resumes to the same bits when it is killed behind a curtailed look', async () => {
    const first = curtailed.candidates.findIndex(({ metric }) => metric.curtailed) + 1;
    const killed = await record(name, 'killed', first);
    expect(killed.outcome.state).toBe('cancelled');
    const resumed = await record(name, 'killed');
    expect([...killed.candidates, ...resumed.candidates].map(untimed)).toEqual(curtailed.candidates.map(untimed));
    expect([resumed.published, resumed.kept]).toEqual([curtailed.published, curtailed.kept]);
    expect(untimed(resumed.outcome.best!)).toEqual(untimed(curtailed.outcome.best!));
  });
});
