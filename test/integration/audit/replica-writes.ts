import { expect } from 'vitest';
import type { TestApp } from '../support/index.ts';
import type { Write } from './write.ts';

interface Callers {
  operator(method: 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object): ReturnType<Write['run']>;
  newRollout(): Promise<string>;
  app(): TestApp;
}

const REPLICAS = '/v1/replicas';

/** Operations that change replicas. Their audit entries must not contain an API key. */
export function replicaWrites({ operator, newRollout, app }: Callers): Record<string, Write> {
  let count = 0;
  const create = async () => {
    const rollout = await app().db.rollout.findUniqueOrThrow({ where: { id: await newRollout() } });
    const name = `replica-${++count}`;
    return operator('POST', REPLICAS, {
      ...{ name, engine: 'vllm', url: `https://${name}.example.com`, path_prefix: '/adapters', api_key: 'engine-key' },
      base_model_version_id: rollout.baseModelVersionId,
    });
  };
  const given = async (): Promise<string> => (await create()).json().id;
  const replica = (more: object = {}) => expect.objectContaining({ has_api_key: true, max_adapters: 1000, ...more });
  return {
    createReplica: { actor: 'operator', run: create, entry: { tenant_id: null, before: null, after: replica() } },
    updateReplica: {
      actor: 'operator',
      given,
      run: (id) => operator('PATCH', `${REPLICAS}/${id}`, { max_adapters: 5, api_key: 'another-key' }),
      entry: { tenant_id: null, before: replica(), after: replica({ max_adapters: 5 }) },
    },
    deleteReplica: {
      actor: 'operator',
      given,
      run: (id) => operator('DELETE', `${REPLICAS}/${id}`),
      entry: { tenant_id: null, before: replica(), after: null },
    },
  };
}
