import { expect } from 'vitest';
import type { TestApp } from '../support/index.ts';
import { baseUploadWrites } from './base-upload-writes.ts';
import { replicaWrites } from './replica-writes.ts';
import { webhookWrites } from './webhook-writes.ts';
import type { Answer, Write } from './write.ts';

interface Callers {
  operator(method: 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object): Promise<Answer>;
  tenant(method: 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object): Promise<Answer>;
  newRollout(): Promise<string>;
  newJob(): Promise<string>;
  newWorker(): Promise<string>;
  app(): TestApp;
  baseModelId(): string;
}

/** Creates something and changes it beforehand. @returns its identifier */
async function changed(make: () => Promise<string>, change: (id: string) => Promise<Answer>): Promise<string> {
  const id = await make();
  expect((await change(id)).statusCode).toBe(200);
  return id;
}

/** Bulk actions on a rollout's jobs, each requested by the tenant of a matching job. */
function writesByFilter({ tenant, newJob, app }: Callers): Record<string, Write> {
  const jobs = {
    pause: { state: 'queued' },
    cancel: { state: 'queued' },
    resume: { state: 'paused', phase: 'held', pausedAt: new Date(), pausedBy: 'job' },
    retry: { state: 'failed', finishedAt: new Date() },
  } as const;
  const writes = Object.entries(jobs).map(([action, data]): [string, Write] => [
    `${action}RolloutJobs`,
    {
      actor: 'tenant',
      given: async () => (await app().db.job.update({ where: { id: await newJob() }, data })).rolloutId,
      run: (id) => tenant('POST', `/v1/rollouts/${id}/jobs/${action}`, { filter: { states: [data.state] } }),
      entry: { before: null, after: { filter: { states: [data.state] } } },
    },
  ]);
  return Object.fromEntries(writes);
}

/** Operations that steer rollouts, jobs, workers, webhooks, replicas and uploads of base models. */
export function controlWrites(callers: Callers): Record<string, Write> {
  const { operator, tenant, newRollout, newJob, newWorker, app, baseModelId } = callers;
  return {
    ...writesByFilter(callers),
    ...webhookWrites({ tenant, app }),
    ...replicaWrites({ operator, newRollout, app }),
    ...baseUploadWrites({ operator, app }),
    updateBaseModel: {
      actor: 'operator',
      run: () => operator('PATCH', `/v1/base-models/${baseModelId()}`, { policy: { approve: 'manual' } }),
      entry: { before: { policy: null }, after: { policy: { approve: 'manual' } } },
    },
    updateBaseModelVersion: {
      actor: 'operator',
      given: async () => {
        const rollout = await app().db.rollout.findUniqueOrThrow({ where: { id: await newRollout() } });
        return rollout.baseModelVersionId;
      },
      run: (id) => operator('PATCH', `/v1/base-model-versions/${id}`, { retires_at: '2030-01-01T00:00:00Z' }),
      entry: { before: { retires_at: null }, after: { retires_at: '2030-01-01T00:00:00.000Z' } },
    },
    approveRollout: {
      actor: 'operator',
      given: async () => {
        const id = await newRollout();
        const options = { policy: { waves: [{ count: 1 }], approve: 'manual' } };
        await app().db.rollout.update({
          where: { id },
          data: { waveLimits: ['0'], awaitingApproval: true, options },
        });
        return id;
      },
      run: (id) => operator('POST', `/v1/rollouts/${id}/approve`, { wave: 2 }),
      entry: { before: { wave: 1 }, after: { wave: 2 } },
    },
    pauseRollout: {
      actor: 'operator',
      given: newRollout,
      run: (id) => operator('POST', `/v1/rollouts/${id}/pause`),
      entry: { before: { state: 'adapting' }, after: { state: 'paused' } },
    },
    resumeRollout: {
      actor: 'operator',
      given: () => changed(newRollout, (id) => operator('POST', `/v1/rollouts/${id}/pause`)),
      run: (id) => operator('POST', `/v1/rollouts/${id}/resume`),
      // The rollout was never planned.
      entry: { before: { state: 'paused' }, after: { state: 'planning' } },
    },
    rollBackRollout: {
      actor: 'operator',
      given: async () => {
        const id = await newRollout();
        await app().db.rollout.update({ where: { id }, data: { state: 'completed', finishedAt: new Date() } });
        return id;
      },
      run: (id) => operator('POST', `/v1/rollouts/${id}/rollback`),
      entry: { tenant_id: null, before: null, after: { rollback: 'requested' } },
    },
    drainWorker: {
      actor: 'operator',
      given: newWorker,
      run: (id) => operator('POST', `/v1/workers/${id}/drain`),
      entry: { tenant_id: null, before: { state: 'ready' }, after: { requested: 'drain' } },
    },
    releaseWorker: {
      actor: 'operator',
      given: newWorker,
      run: (id) => operator('POST', `/v1/workers/${id}/release`),
      entry: { tenant_id: null, before: { state: 'ready' }, after: { requested: 'release' } },
    },
    liftQuarantine: {
      actor: 'operator',
      given: newWorker,
      run: (id) => operator('POST', `/v1/workers/${id}/lift-quarantine`),
      entry: { tenant_id: null, before: { state: 'ready' }, after: { requested: 'lift' } },
    },
    pauseJob: {
      actor: 'tenant',
      given: newJob,
      run: (id) => tenant('POST', `/v1/jobs/${id}/pause`),
      entry: { before: { state: 'queued' }, after: { state: 'paused' } },
    },
    approveJob: {
      actor: 'tenant',
      given: async () => {
        const id = await newJob();
        await app().db.job.update({ where: { id }, data: { state: 'held', phase: 'held', approval: 'awaited' } });
        return id;
      },
      run: (id) => tenant('POST', `/v1/jobs/${id}/approve`),
      entry: { before: { state: 'held', approval: 'awaited' }, after: { state: 'queued', approval: 'given' } },
    },
    resumeJob: {
      actor: 'tenant',
      given: () => changed(newJob, (id) => tenant('POST', `/v1/jobs/${id}/pause`)),
      run: (id) => tenant('POST', `/v1/jobs/${id}/resume`),
      entry: { before: { state: 'paused' }, after: { state: 'queued' } },
    },
    retryJob: {
      actor: 'tenant',
      given: async () => {
        const id = await newJob();
        await app().db.job.update({ where: { id }, data: { state: 'failed', finishedAt: new Date() } });
        return id;
      },
      run: (id) => tenant('POST', `/v1/jobs/${id}/retry`),
      entry: { before: { state: 'failed' }, after: { state: 'queued' } },
    },
  };
}
