import { newId } from '../../../src/platform/contract/ids.ts';
import type { AdapterWorld } from '../adapters/support.ts';

/**
 * Creates rows for the operations that steer rollouts, jobs and workers.
 * @returns functions that create one and return its identifier
 */
export function steeredRows(world: () => AdapterWorld, name: () => string) {
  async function newRollout(): Promise<string> {
    const id = newId('rollout');
    const { baseModelId } = world();
    const data = { id: newId('baseModelVersion'), baseModelId, version: name(), path: '/', servingName: 'x' };
    const version = await world().app.db.baseModelVersion.create({ data });
    await world().app.db.rollout.create({
      data: { id, baseModelVersionId: version.id, state: 'adapting', options: {} },
    });
    return id;
  }

  async function newWorker(): Promise<string> {
    const id = newId('worker');
    const data = { id, host: 'here', pid: 1, version: '0', device: 'cpu', state: 'ready' };
    await world().app.db.workerProcess.create({ data });
    return id;
  }

  async function newJob(): Promise<string> {
    const body = { source: { path: world().fixture('control').adapter, base_model_version: 'control' } };
    const adapter = await world().createAdapter(name(), body);
    const job = await world().app.db.job.create({
      data: {
        id: newId('job'),
        tenantId: world().acme.id,
        rolloutId: await newRollout(),
        adapterId: adapter.id,
        sourceVersionId: adapter.latest_version!.id,
        strategy: 'auto',
        metricName: 'accuracy',
      },
    });
    return job.id;
  }

  return { newRollout, newWorker, newJob };
}
