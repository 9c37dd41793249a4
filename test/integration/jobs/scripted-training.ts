/**
 * Training process that follows a script instead of training, for tests of the worker. It speaks the real protocol over
 * the real channel. The file `behavior.json` in a base's folder defines its behavior with that base.
 */
import { existsSync } from 'node:fs';
import { appendFile, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BaselinesOutcome, BaselinesSpec } from '../../../core/adaptation/baselines.ts';
import type { EvolveSpec } from '../../../core/adaptation/evolutions.ts';
import type { GateOutcomes } from '../../../core/adaptation/measurements/gate-outcomes.ts';
import type { OutcomesOutcome, OutcomesSpec } from '../../../core/adaptation/measurements/version-outcomes.ts';
import type { JobEvent } from '../../../core/adaptation/job-events.ts';
import type { JobOutcome } from '../../../core/adaptation/job-outcome.ts';
import type { ProvisionalOutcome, ProvisionalSpec } from '../../../core/adaptation/provisional.ts';
import type { JobSpec } from '../../../core/adaptation/job-spec.ts';
import type { Certificate } from '../../../core/method/gate/readiness-gate.ts';
import type { CandidateRecord } from '../../../core/method/ladder/candidate.ts';
import type {
  DescribeSpec,
  Request,
  RequestBody,
  TrainingMessage,
  WorkerMessage,
} from '../../../workers/training/protocol.ts';
import type { Phase } from '../../../core/options/phases.ts';
import type { Behavior } from '../queue/fleet.ts';

const cancelled = new Set<string>();
const published = new Map<string, number>();
let wake = (): void => undefined;

function send(message: TrainingMessage): void {
  process.send?.(message);
}

/** Waits until a message of the parent makes the condition true. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise<void>((resolve) => (wake = resolve));
}

async function behaviorOf(base: string): Promise<Behavior> {
  const text = await readFile(path.join(base, 'behavior.json'), 'utf8').catch(() => null);
  if (text === null) throw new Failure('config.json is missing', { code: 'missing_file', permanent: true });
  return JSON.parse(text) as Behavior;
}

class Failure extends Error {
  readonly fields: { code: string; permanent: boolean; differences?: { field: string; old: unknown; new: unknown }[] };

  constructor(message: string, fields: Failure['fields']) {
    super(message);
    this.fields = fields;
  }
}

async function describe({ base }: DescribeSpec) {
  const { fingerprint = 'sha256:same', hiddenSize = 64 } = await behaviorOf(base);
  const config = {
    modelType: 'llama' as const,
    hiddenSize,
    intermediateSize: 128,
    numLayers: 2,
    numHeads: 4,
    numKeyValueHeads: 2,
    headDim: 16,
    vocabSize: 100,
    maxPositionEmbeddings: 128,
    rmsNormEps: 1e-5,
    ropeTheta: 10_000,
    ropeScaling: null,
    biases: null,
    slidingWindows: null,
    tieWordEmbeddings: true,
    bosTokenId: 0,
    eosTokenIds: [1],
  };
  return { config, fingerprint, parameters: 1000 };
}

async function evolve({ oldBase, newBase, outDir }: EvolveSpec) {
  const [old, next] = [await describe({ base: oldBase }), await describe({ base: newBase })];
  if (old.config.hiddenSize !== next.config.hiddenSize) {
    const differences = [{ field: 'hidden_size', old: old.config.hiddenSize, new: next.config.hiddenSize }];
    throw new Failure('the base model versions are incompatible', {
      code: 'incompatible_base_model_versions',
      permanent: true,
      differences,
    });
  }
  await mkdir(outDir);
  await writeFile(path.join(outDir, 'evolution.safetensors'), `${oldBase} → ${newBase}`);
  const advice = { verdict: 'revert', reasons: [{ code: 'undoable', message: 'the adapter can undo it' }] };
  return {
    dir: outDir,
    rank: 8,
    drift: 0.1,
    summary: { advice, modules: {}, projections: { 'self_attn.q_proj': { drift: 0.2 } } },
    computeMs: 1,
  };
}

const FLIPS = [
  { row: 3, slices: ['de'] },
  { row: 9, slices: [] },
];

const CERTIFICATE: Certificate = {
  ...{ verdict: 'passed', confidence: 0.95, margin: 0.1, rows: 100, availableRows: 100, looks: 2, rowsNeeded: null },
  ...{ analyses: 1, level: 0.012 },
  slices: [
    {
      ...{ name: 'de', margin: 0.1, certify: false, verdict: 'inconclusive', rows: 20, value: 0.75, old: 0.8 },
      ...{ bound: 0.5, rowsNeeded: 200 },
    },
  ],
};

const MEASURED = { old: 0.9, none: 0.3, copy: 0.7 };

async function measureBaselines(requestId: string, { job }: BaselinesSpec): Promise<BaselinesOutcome> {
  const behavior = await behaviorOf(job.newBase);
  if (behavior.baselines === 'hang') await until(() => cancelled.has(requestId));
  if (behavior.baselines !== undefined) throw new Failure('a row is too long', { code: 'too_long', permanent: true });
  return { baselines: MEASURED, oldOutcomes: null };
}

async function measureOutcomes(requestId: string, { base }: OutcomesSpec): Promise<OutcomesOutcome> {
  const behavior = await behaviorOf(base);
  if (behavior.outcomes === 'permanent')
    throw new Failure('no row can be measured', { code: 'too_long', permanent: true });
  while (behavior.until !== undefined && !existsSync(behavior.until) && !cancelled.has(requestId)) await sleep(20);
  if (behavior.outcomes === 'hang') await until(() => cancelled.has(requestId));
  if (cancelled.has(requestId)) throw new Failure('the job was cancelled', { code: 'cancelled', permanent: true });
  return { outcomes: outcomes('2', [0, 1]) };
}

async function adapt(requestId: string, spec: JobSpec): Promise<JobOutcome> {
  const behavior = await behaviorOf(spec.newBase);
  const emit = (event: JobEvent) => send({ type: 'event', requestId, event });
  const phase = (name: Phase) => emit({ type: 'phase', phase: name });
  const leavesOut = spec.baselines === 'needed' && behavior.allBaselines !== true;
  const baselines = leavesOut ? { old: 0.9, none: null, copy: null } : MEASURED;
  if (behavior.outcome === 'refused')
    throw new Failure('the adapter has no weights', { code: 'invalid_adapter', permanent: true });
  phase('prepare');
  const given = spec.adapterOptions?.append_eos;
  const format = { appendEos: given === 'yes', appendEosReason: `asked: ${given}`, maxLength: 99 };
  emit({ type: 'row_format', format });
  // A resumed attempt repeats the warning.
  for (let again = 0; again < 2; again++) emit({ type: 'warning', message: 'line 3 is long' });
  emit({ type: 'old_measured', outcomes: outcomes('0', [1, 0]) });
  const anchor = { version: 'old', value: 0.5, outcomes: null } as const;
  emit({ type: 'anchor', anchor });
  emit({ type: 'baselines', target: 0.8, baselines });
  phase('initialize');
  const evaluation = { alpha: 1, beta: -1, rows: 16, loss: 0.5, ms: 2, rowLosses: [] };
  emit({ type: 'search', rung: 'search', evaluation, evaluations: 1 });
  phase('fine_tune');
  for (const step of [1, 2]) {
    emit({ type: 'progress', step, totalSteps: 4 });
    emit({ type: 'candidate', candidate: candidate(step, 0.5 + step / 10), outcomes: [1, 0] });
    emit({ type: 'points', points: [{ name: 'train_loss', step, value: 1 / step }] });
  }
  if (behavior.crashOnce !== undefined && !existsSync(behavior.crashOnce)) {
    await writeFile(behavior.crashOnce, '');
    console.error('scripted crash');
    process.kill(process.pid, 'SIGKILL');
    await until(() => false);
  }
  while (behavior.until !== undefined && !existsSync(behavior.until)) await sleep(20);
  if (behavior.hang === true) await until(() => behavior.deaf !== true && cancelled.has(requestId));
  const end = {
    target: 0.8,
    baselines,
    steps: 4,
    totalSteps: 4,
    phases: {} as JobOutcome['phases'],
    readyMs: null,
    tokens: 1,
    tokensPerSecond: 1,
    candidateFolder: null,
    ladder: [],
    rows: 'training' as const,
    rowFormat: null,
    precision: 'f32' as const,
    slices: { old: {}, best: {} },
    flips: [],
    warnings: [],
    oldKnown: false,
    anchor,
  };
  if (cancelled.has(requestId)) return { ...end, state: 'cancelled', best: null };
  phase('evaluate');
  if (behavior.outcome === 'permanent')
    throw new Failure('dataset row 3 cannot be tokenized', { code: 'invalid_dataset', permanent: true });
  if (behavior.outcome === 'transient')
    throw new Failure('no space left on device', { code: 'ENOSPC', permanent: false });
  const passed = behavior.outcome !== 'not_ready';
  const best = await publications(requestId, spec, passed ? behavior : { ...behavior, publications: 0 });
  if (passed) return { ...end, state: 'ready', best, readyMs: 1 };
  const candidateFolder = await writeCandidate(spec, 0);
  return { ...end, state: 'not_ready', best: candidate(0, 0.75), candidateFolder };
}

async function publications(
  requestId: string,
  spec: JobSpec,
  { publications: count = 1, negativeFlips = null }: Pick<Behavior, 'publications'> & { negativeFlips?: number | null },
): Promise<CandidateRecord> {
  for (let number = 0; number < count && spec.kind === 'adaptation'; number++) {
    const folder = await writeCandidate(spec, number);
    const candidate = { ...passing(number), negativeFlips };
    const event = { type: 'publication', number, folder, candidate, rows: 'training' } as const;
    send({ type: 'event', requestId, event: { ...event, outcomes: outcomes('1', [1, 1]), slices: {}, flips: FLIPS } });
    await until(() => published.get(requestId) === number || cancelled.has(requestId));
  }
  return passing(Math.max(0, count - 1));
}

function passing(number: number): CandidateRecord {
  return { ...candidate(number, 0.85 + number / 100), certificate: CERTIFICATE };
}

function outcomes(digit: string, values: number[]): GateOutcomes {
  const watched = { digest: `sha256:${'9'.repeat(64)}`, values };
  return { digest: `sha256:${digit.repeat(64)}`, value: 0.5, standardError: 0.25, values, watched };
}

function candidate(number: number, value: number): CandidateRecord {
  return {
    id: `fine_tune@${10 * number}`,
    rung: 'fine_tune',
    strategy: 'relora',
    alpha: 1,
    beta: -0.5,
    step: 10 * number,
    metric: { name: 'accuracy', value, standardError: 0.01, rows: 100 },
    verdict: value >= 0.8 ? 'passed' : 'failed',
    certificate: null,
    needed: 0.8,
    bound: null,
    negativeFlips: null,
    failed: [],
    searchLoss: null,
    elapsedMs: 1,
  };
}

async function writeCandidate(spec: JobSpec, sequence: number): Promise<string> {
  const dir = path.join(spec.workDir, `candidate-${sequence}`);
  await mkdir(dir, { recursive: true });
  await writeFile(
    path.join(dir, 'adapter_config.json'),
    JSON.stringify({
      peft_type: 'LORA',
      base_model_name_or_path: spec.newBaseName,
      r: 4,
      lora_alpha: 8,
      target_modules: ['q_proj'],
    }),
  );
  await writeFile(path.join(dir, 'job.txt'), `${spec.jobId} ${sequence}`);
  return dir;
}

async function makeProvisional({ newBase, adapter, outDir, strategy }: ProvisionalSpec): Promise<ProvisionalOutcome> {
  const { provisional, log: file } = await behaviorOf(newBase);
  if (file !== undefined) await appendFile(file, `provisional ${adapter}\n`);
  if (provisional === 'permanent')
    throw new Failure('a tensor is missing', { code: 'invalid_adapter', permanent: true });
  if (provisional !== undefined && !existsSync(provisional)) {
    await writeFile(provisional, '');
    throw new Failure('a read failed once', { code: 'internal_error', permanent: false });
  }
  await cp(adapter, outDir, { recursive: true });
  await writeFile(path.join(outDir, 'provisional.txt'), strategy);
  return { dir: outDir, alpha: 1, beta: strategy === 'revert' ? -1 : 0 };
}

async function log(request: RequestBody<'adapt' | 'baselines' | 'outcomes'>): Promise<void> {
  if (request.type === 'outcomes') return note(request.spec.base, `outcomes ${request.spec.adapter}`);
  const spec = request.type === 'adapt' ? request.spec : request.spec.job;
  const what = request.type === 'adapt' ? spec.kind : request.type;
  return note(spec.newBase, `${what} ${spec.jobId}`);
}

async function note(base: string, line: string): Promise<void> {
  const { log } = await behaviorOf(base);
  if (log !== undefined) await appendFile(log, `${line}\n`);
}

async function answer(request: Request): Promise<void> {
  const { requestId } = request;
  try {
    if (request.type === 'adapt' || request.type === 'baselines' || request.type === 'outcomes') await log(request);
    if (request.type === 'outcomes')
      send({
        type: 'outcome',
        requestId,
        request: 'outcomes',
        outcome: await measureOutcomes(requestId, request.spec),
      });
    if (request.type === 'baselines')
      send({
        type: 'outcome',
        requestId,
        request: 'baselines',
        outcome: await measureBaselines(requestId, request.spec),
      });
    if (request.type === 'adapt')
      send({ type: 'outcome', requestId, request: 'adapt', outcome: await adapt(requestId, request.spec) });
    if (request.type === 'provisional')
      send({ type: 'outcome', requestId, request: 'provisional', outcome: await makeProvisional(request.spec) });
    if (request.type === 'evolve')
      send({ type: 'outcome', requestId, request: 'evolve', outcome: await evolve(request.spec) });
    if (request.type === 'describe')
      send({ type: 'outcome', requestId, request: 'describe', outcome: await describe(request.spec) });
  } catch (error) {
    const fields = error instanceof Failure ? error.fields : { code: 'internal_error', permanent: false };
    send({ type: 'error', requestId, message: (error as Error).message, ...fields });
  }
}

process.on('message', (message: WorkerMessage) => {
  if (message.type === 'cancel') cancelled.add(message.requestId);
  else if (message.type === 'published') published.set(message.requestId, message.number);
  else if (message.type !== 'preload') void answer(message);
  wake();
});
process.on('disconnect', () => process.exit(0));
send({ type: 'online' });
