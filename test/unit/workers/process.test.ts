import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readAdapterManifest, verifyAdapterFiles } from '../../../core/formats/peft/adapter-manifest.ts';
import type { JobEvent } from '../../../core/adaptation/job-events.ts';
import type { JobOutcome } from '../../../core/adaptation/job-outcome.ts';
import type { JobSpec } from '../../../core/adaptation/job-spec.ts';
import type { GivenJobOptions } from '../../../core/options/job-options.ts';
import { PHASES } from '../../../core/options/phases.ts';
import { Child, eventsOf } from '../training/support/child.ts';
import { bestOf, outcomeOf, plainJob, TINY_TRAINING } from '../training/support/tiny-job.ts';
import { createTinyFamily, removeTinyFamily, type TinyFamily } from '../training/support/tiny-task.ts';

let family: TinyFamily;
let child: Child;

beforeAll(async () => {
  family = await createTinyFamily();
  child = new Child();
});
afterAll(async () => {
  await child.kill();
  await removeTinyFamily(family);
});
/** One process serves all tests, just as one serves all jobs. */
beforeEach(() => child.reset());

/** Starts a process that finds the graphs that earlier ones have compiled, like those of one worker. */
const startWithCache = () => new Child(undefined, { threads: 2, graphCacheDir: path.join(family.folder, 'graphs') });

function jobSpec(name: string, changes: Partial<JobSpec> = {}): JobSpec {
  return plainJob(family, name, { options: TINY_TRAINING, ...changes });
}

/** Returns the distinct values of every metric point, by name and step. */
function pointsOf(events: readonly JobEvent[]): Map<string, Set<number>> {
  const points = new Map<string, Set<number>>();
  const add = (key: string, value: number) => points.set(key, (points.get(key) ?? new Set()).add(value));
  for (const event of events) {
    const told = event.type === 'points' || event.type === 'resumed' ? event.points : [];
    for (const { name, step, value } of told) add(`${name} ${step}`, value);
    const judged = event.type === 'resumed' ? event.candidates.map(({ candidate }) => candidate) : [];
    for (const { id, metric } of event.type === 'candidate' ? [event.candidate] : judged) add(id, metric.value);
    const searches = event.type === 'search' ? [event.evaluation] : event.type === 'resumed' ? event.searches : [];
    for (const { alpha, beta, rows, loss } of searches) add(`loss of ${rows} rows at ${alpha}, ${beta}`, loss);
  }
  return points;
}

async function bytesOf(outcome: JobOutcome): Promise<Buffer> {
  return readFile(path.join(outcome.candidateFolder!, 'adapter_model.safetensors'));
}

describe('the training process', () => {
  it('ends with the same bits when it is killed during a search and between evaluations', async () => {
    const all: GivenJobOptions = { ...TINY_TRAINING, strategy: 'relora', search_evaluations: 4, max_steps: 20 };
    const kills: ((event: JobEvent) => boolean)[] = [
      (event) => event.type === 'search' && event.evaluations === 2,
      (event) => event.type === 'progress' && event.step >= 12,
    ];
    await child.kill();
    child = startWithCache();
    const whole = outcomeOf(
      await child.request({ type: 'adapt', requestId: 'r', spec: jobSpec('whole', { options: all }) }),
    );
    expect(whole).toMatchObject({ state: 'not_ready', steps: 20 });
    expect(whole.best!.step).toBeGreaterThan(10);
    const expected = pointsOf(eventsOf(child.messages));
    await child.kill();

    const spec = jobSpec('killed', { options: all });
    const seen: JobEvent[] = [];
    for (const kill of kills) {
      child = startWithCache();
      // A job that ends before it is killed also leaves a checkpoint, from which the next one continues.
      const reached = child.waitFor(
        (message) => message.type === 'outcome' || (message.type === 'event' && kill(message.event)),
      );
      child.send({ type: 'adapt', requestId: 'r', spec });
      await reached;
      await child.kill();
      seen.push(...eventsOf(child.messages));
    }
    child = startWithCache();
    const resumed = outcomeOf(await child.request({ type: 'adapt', requestId: 'r', spec }));
    expect(child.events('progress').filter(({ step }) => step < 5)).toEqual([]);
    expect(bestOf(resumed)).toEqual(bestOf(whole));
    expect((await bytesOf(resumed)).equals(await bytesOf(whole))).toBe(true);
    // All measurements, including repeated ones after a kill, are those of an uninterrupted run.
    const points = pointsOf([...seen, ...eventsOf(child.messages)]);
    expect(points.size).toBeGreaterThan(30);
    for (const [point, values] of points) expect([point, ...values]).toEqual([point, ...expected.get(point)!]);
    // The last attempt reports everything, since earlier receivers may have died before they stored it.
    expect([...pointsOf(eventsOf(child.messages)).keys()].sort()).toEqual([...expected.keys()].sort());
  });

  it('publishes the first candidate that passes, waits until that is durable, and reports measurements', async () => {
    child.acknowledge = false;
    const spec = jobSpec('published', {
      metric: 'accuracy',
      gate: { kind: 'absolute', target: 0.9 },
      parent: 'adv_1',
      options: { ...jobSpec('').options, strategy: 'auto', max_steps: 60, search_evaluations: 4 },
    });
    const asked = performance.now();
    const begun = child.waitForEvent('phase').then(() => performance.now());
    const end = child.request({ type: 'adapt', requestId: 'r1', spec });
    const publication = await child.waitForEvent('publication');
    expect(publication.candidate).toMatchObject({ metric: { name: 'accuracy' }, verdict: 'passed' });
    await verifyAdapterFiles(publication.folder);
    expect(await readAdapterManifest(publication.folder)).toMatchObject({
      parent: 'adv_1',
      strategy: publication.candidate.strategy,
    });
    // The job does not wait for another publication to be durable.
    child.send({ type: 'published', requestId: 'r1', number: publication.number + 1 });
    // The answer proves that the message before it was processed.
    const probe = await child.request({ type: 'describe', requestId: 'r2', spec: { base: family.oldBase } });
    expect(probe).toMatchObject({ type: 'error', code: 'busy' });
    expect(child.events('published')).toEqual([]);
    const acknowledged = performance.now();
    child.send({ type: 'published', requestId: 'r1', number: publication.number });

    const outcome = outcomeOf(await end);
    const ended = performance.now();
    expect(outcome).toMatchObject({ state: 'ready', best: publication.candidate, target: 0.9, candidateFolder: null });
    expect(Object.values(outcome.baselines).every((value) => typeof value === 'number')).toBe(true);
    expect(Object.keys(outcome.phases)).toEqual([...PHASES]);
    expect(outcome.readyMs).toBe(Object.values(outcome.phases).reduce((sum, ms) => sum + ms, 0));
    // The phases account for all of the elapsed time.
    expect(outcome.readyMs!).toBeGreaterThanOrEqual(acknowledged - (await begun));
    expect(outcome.readyMs!).toBeLessThanOrEqual(ended - asked);
    expect(child.events('phase').map(({ phase }) => phase)).toEqual(
      expect.arrayContaining(['prepare', 'evolution', 'evaluate', 'publish']),
    );
    expect(
      child
        .events('search')
        .map(({ evaluations }) => evaluations)
        .slice(0, 3),
    ).toEqual([1, 2, 3]);
    const points = child.events('points').flatMap((event) => event.points);
    const keys = points.map(({ name, step }) => `${name}@${step}`);
    expect(new Set(keys).size).toBe(keys.length);
    const coefficients = points.filter(({ name }) => name === 'regularization').map(({ value }) => value);
    expect(coefficients.length).toBeGreaterThan(0);
    expect(
      coefficients.some((value, i) => value === coefficients[i + 1]),
      'told where it changes',
    ).toBe(false);
  });

  it('does not wait for a worker that cancels instead of acknowledging', async () => {
    child.acknowledge = false;
    const gate = { kind: 'absolute', target: 1000 } as const;
    const spec = jobSpec('unpublished', { gate, options: { strategy: 'reuse' } });
    const end = child.request({ type: 'adapt', requestId: 'r1', spec });
    await child.waitForEvent('publication');
    child.send({ type: 'cancel', requestId: 'r1', keep: false });
    expect(outcomeOf(await end)).toMatchObject({ state: 'cancelled', readyMs: null });
  });

  it('takes the target of a relative gate from the old adapter, and publishes nothing for a control', async () => {
    const gate = { kind: 'relative' as const, margin: 0.25 };
    const spec = jobSpec('control', {
      kind: 'control',
      gate,
      options: { ...jobSpec('').options, max_steps: 40, refine_steps: 20 },
    });
    const outcome = outcomeOf(await child.request({ type: 'adapt', requestId: 'r1', spec }));
    expect(outcome.target).toBeCloseTo(outcome.baselines.old! + 0.25, 12);
    expect(outcome).toMatchObject({
      state: 'ready',
      best: { strategy: 'scratch', verdict: 'passed' },
      candidateFolder: null,
    });
    expect(outcome.steps).toBe(outcome.best!.step);
    expect(child.events('publication')).toEqual([]);
  });

  it('stops a cancelled job, which resumes from there later', async () => {
    // It takes long enough for the cancellation to arrive before its end, even on a busy processor.
    const options = { ...TINY_TRAINING, max_steps: 200, evaluate_every: 20 };
    const spec = jobSpec('cancelled', { options });
    const begun = child.waitForEvent('progress', ({ step }) => step >= 7);
    const end = child.request({ type: 'adapt', requestId: 'r1', spec });
    await begun;
    child.send({ type: 'cancel', requestId: 'r1', keep: true });
    const outcome = outcomeOf(await end);
    expect(outcome.state).toBe('cancelled');
    expect(outcome.steps).toBeLessThan(options.max_steps);

    const resumed = child.waitForEvent('progress');
    const stopped = child.request({ type: 'adapt', requestId: 'r2', spec });
    // A job that was cancelled at an evaluation judges that step when it resumes.
    const atEvaluation = outcome.steps % options.evaluate_every === 0;
    expect(await resumed).toMatchObject({ step: atEvaluation ? outcome.steps : outcome.steps + 1 });
    child.send({ type: 'cancel', requestId: 'r2', keep: false });
    expect(outcomeOf(await stopped)).toMatchObject({ state: 'cancelled' });
  });

  it('keeps no checkpoint of a cancelled job whose work nobody needs', async () => {
    const spec = jobSpec('abandoned', { options: { ...jobSpec('').options, max_steps: 2000, evaluate_every: 1000 } });
    const begun = child.waitForEvent('progress', ({ step }) => step >= 7);
    const end = child.request({ type: 'adapt', requestId: 'r1', spec });
    await begun;
    child.send({ type: 'cancel', requestId: 'r1', keep: false });
    expect(outcomeOf(await end)).toMatchObject({ state: 'cancelled' });

    const again = child.waitForEvent('progress');
    const stopped = child.request({ type: 'adapt', requestId: 'r2', spec });
    expect(await again).toMatchObject({ step: 1 });
    child.send({ type: 'cancel', requestId: 'r2', keep: false });
    await stopped;
  });

  it('computes an evolution that a job then uses', async () => {
    const outDir = path.join(family.folder, 'evolution');
    const spec = { oldBase: family.oldBase, newBase: family.newBase, outDir };
    const message = await child.request({ type: 'evolve', requestId: 'r1', spec });
    if (message.type !== 'outcome' || message.request !== 'evolve') throw new Error(JSON.stringify(message));
    expect(message.outcome).toMatchObject({ dir: outDir });
    expect(message.outcome.drift).toBeGreaterThan(0.01);
    const job = jobSpec('evolved', { evolution: outDir, options: { strategy: 'revert' } });
    const outcome = outcomeOf(await child.request({ type: 'adapt', requestId: 'r2', spec: job }));
    expect(outcome.best).toMatchObject({ strategy: 'revert', alpha: 1, beta: -1 });
    expect(outcome.phases.evolution).toBe(0);
  });

  it('describes a base, and answers bad input with typed errors', async () => {
    const described = await child.request({ type: 'describe', requestId: 'r1', spec: { base: family.oldBase } });
    expect(described).toMatchObject({ outcome: { parameters: 94_528, config: { hiddenSize: 64 } } });

    const missing = jobSpec('missing', { adapter: path.join(family.folder, 'nowhere') });
    expect(await child.request({ type: 'adapt', requestId: 'r2', spec: missing })).toMatchObject({
      type: 'error',
      code: 'missing_file',
      permanent: true,
    });
    const other = { ...jobSpec('other'), options: { strategy: 'reuse' as const }, metric: 'accuracy' as const };
    const data = { train: family.train, validation: path.join(family.folder, 'v2/config.json') };
    expect(await child.request({ type: 'adapt', requestId: 'r3', spec: { ...other, data } })).toMatchObject({
      type: 'error',
      code: 'invalid_dataset',
      permanent: true,
    });
  });

  it('refuses bases that tokenize differently, and lists the differences', async () => {
    const { cp, writeFile } = await import('node:fs/promises');
    const odd = path.join(family.folder, 'odd');
    await cp(family.newBase, odd, { recursive: true });
    const tokenizer = await readFile(path.join(odd, 'tokenizer.json'), 'utf8');
    const json = JSON.parse(tokenizer) as { model: { merges: unknown[] } };
    json.model.merges.pop();
    await writeFile(path.join(odd, 'tokenizer.json'), JSON.stringify(json));
    const spec = { oldBase: family.oldBase, newBase: odd, outDir: path.join(family.folder, 'none') };
    const message = await child.request({ type: 'evolve', requestId: 'r1', spec });
    expect(message).toMatchObject({ type: 'error', code: 'incompatible_base_model_versions', permanent: true });
    expect(message).toHaveProperty('differences.0.field', 'tokenizer.merges');
  });

  it('ends when its parent disconnects', async () => {
    const parting = new Child();
    await parting.waitFor(({ type }) => type === 'online');
    expect(await parting.disconnect()).toBe(0);
  });
});
