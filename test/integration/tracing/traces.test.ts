import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { currentTraceparent } from '../../../src/platform/tracing/current-trace.ts';
import { inSpan, NO_TRACING, startTracing, type Tracing } from '../../../src/platform/tracing/tracing.ts';
import { createFleet, type Fleet } from '../queue/fleet.ts';
import { eventually } from '../../eventually.ts';
import { createTestApp, type TestApp } from '../support/index.ts';
import { createTinyFleet, type TinyFleet } from '../training/tiny-fleet.ts';
import { startCollector, type CollectedSpan, type Collector } from './collector.ts';

const CALLER = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };

let collector: Collector;
let tracing: Tracing;
beforeAll(async () => {
  collector = await startCollector();
  tracing = await startTracing({ endpoint: collector.endpoint, service: 'readapt-api', version: '0' });
});
afterAll(async () => {
  await tracing.stop();
  await collector.close();
});

const named = (name: string) => collector.spans().filter((span) => span.name === name);
const childrenOf = ({ spanId }: CollectedSpan) => collector.spans().filter((span) => span.parentSpanId === spanId);
const traceparentOf = ({ traceId, spanId }: { traceId: string; spanId: string }) => `00-${traceId}-${spanId}-01`;

describe('a request', () => {
  let service: TestApp;
  let fleet: Fleet;
  beforeAll(async () => {
    service = await createTestApp({ deps: { tracing } });
    fleet = await createFleet(service.db, { tenants: 1, adapters: 1 });
  });
  afterAll(async () => {
    await service.close();
    await fleet.remove();
  });

  test('that creates a rollout goes on from its caller, and the rollout from the request', async () => {
    const payload = { base_model_version_id: fleet.newVersionId };
    const answer = await service.request({
      method: 'POST',
      url: '/v1/rollouts',
      headers: { traceparent: traceparentOf(CALLER) },
      payload,
    });
    expect(answer.statusCode).toBe(202);
    await tracing.flush();
    const [span] = named('POST /v1/rollouts');
    expect(span).toMatchObject({ traceId: CALLER.traceId, parentSpanId: CALLER.spanId, service: 'readapt-api' });
    expect(span!.attributes).toMatchObject({
      'http.route': '/v1/rollouts',
      'http.response.status_code': 202,
      'readapt.request_id': answer.headers['x-request-id'],
    });
    const row = await service.db.rollout.findFirstOrThrow();
    expect(row.traceparent).toBe(traceparentOf(span!));
    expect(answer.body).not.toContain(span!.traceId);
  });

  test('that reads has no span, and a caller whose trace is not one begins no trace of its choice', async () => {
    await service.request({ url: '/v1/rollouts' });
    const headers = { traceparent: '00-zz-zz-01' };
    await service.request({ method: 'POST', url: '/v1/tenants', headers, payload: { name: 'secret-name' } });
    await tracing.flush();
    expect(collector.spans().filter(({ name }) => name.startsWith('GET'))).toEqual([]);
    expect(named('POST /v1/tenants')).toMatchObject([
      { parentSpanId: '', traceId: expect.stringMatching(/^[0-9a-f]{32}$/) },
    ]);
    expect(JSON.stringify(collector.spans())).not.toContain('secret-name');
  });
});

describe('a rollout', () => {
  let fleet: TinyFleet;
  beforeAll(async () => {
    fleet = await createTinyFleet({
      adapters: 2,
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint },
      training: { otlpEndpoint: collector.endpoint },
    });
    await fleet.db.adapter.updateMany({ data: { gate: { kind: 'absolute', target: 100 } } });
  });
  afterAll(() => fleet.close());

  const ONE_TRACE =
    'is one trace from the request to its plan, and each job one that names it, into the training process';
  test(ONE_TRACE, async () => {
    const worker = await fleet.startWorker();
    const id = await inSpan(tracing, 'POST', {}, () => fleet.begin({ strategy: 'reuse' }));
    await fleet.ended(id);
    // A stopped training process exports nothing any more.
    await eventually('both jobs are collected', async () => named('training.adapt').length === 2);
    // The worker exports all ended spans when it stops, at the latest.
    await worker.stop();
    await fleet.training.stop();
    await tracing.flush();

    const [post] = named('POST');
    expect(childrenOf(post!)).toMatchObject([
      { name: 'rollout.prepare', traceId: post!.traceId, service: 'readapt-worker' },
    ]);
    const [prepare] = named('rollout.prepare');
    expect(prepare!.attributes).toEqual({ 'readapt.rollout_id': id, 'readapt.attempt': 1 });
    expect(childrenOf(prepare!).map(({ name }) => name)).toEqual(['rollout.analyze', 'rollout.plan']);
    const [analyze] = named('rollout.analyze');
    expect(
      childrenOf(analyze!)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['rollout.evolution', 'training.describe', 'training.describe']);
    const [evolution] = named('rollout.evolution');
    expect(childrenOf(evolution!)).toMatchObject([{ name: 'training.evolve', service: 'readapt-training' }]);

    const jobs = named('job.run');
    expect(jobs).toHaveLength(2);
    expect(new Set([post!.traceId, ...jobs.map(({ traceId }) => traceId)]).size).toBe(3);
    for (const job of jobs) {
      expect(job).toMatchObject({ parentSpanId: '', links: [{ traceId: post!.traceId, spanId: post!.spanId }] });
      const names = childrenOf(job).map(({ name }) => name);
      expect(names).toEqual(expect.arrayContaining(['training.adapt', 'job.publication', 'job.phase.evaluate']));
      expect(childrenOf(job).every(({ traceId }) => traceId === job.traceId)).toBe(true);
    }
    const rows = await fleet.db.job.findMany({ select: { id: true } });
    expect(jobs.map(({ attributes }) => attributes['readapt.job_id']).sort()).toEqual(rows.map((row) => row.id).sort());
  });
});

describe('a span', () => {
  test('of work that fails has the code of the error, and not its words', async () => {
    const error = Object.assign(new Error('words of a tenant'), { code: 'not_finite' });
    await expect(inSpan(tracing, 'fails', {}, () => Promise.reject(error))).rejects.toBe(error);
    await tracing.flush();
    expect(named('fails')).toMatchObject([{ status: 2, attributes: { 'error.type': 'not_finite' } }]);
    expect(JSON.stringify(named('fails'))).not.toContain('tenant');
  });

  test('is no part of what was begun before it', async () => {
    await inSpan(tracing, 'around', {}, async () => {
      const inner = inSpan(tracing, 'inside', {}, async () => currentTraceparent());
      expect(await inner).not.toBe(currentTraceparent());
    });
    expect(currentTraceparent()).toBeNull();
  });
});

test('a collector that never answers holds up no work, and the end of a process for a while only', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const lost = await startTracing({ endpoint, service: 'readapt-api', version: '0' });
  const asked = once(silent, 'connection');
  expect(await inSpan(lost, 'unheard', {}, async () => 'done')).toBe('done');
  const ended = lost.stop();
  const [socket] = (await asked) as [Socket];
  await ended;
  socket.destroy();
  silent.close();
});

test('without an endpoint nothing is traced', async () => {
  expect(await startTracing({ endpoint: null, service: 'readapt-api', version: '0' })).toBe(NO_TRACING);
});
