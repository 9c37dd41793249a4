import {
  createAdapter,
  createBaseModel,
  createBaseModelVersion,
  createDataset,
  createTenant,
  type ReadaptClient,
} from '../../openapi/clients/typescript/src/index.ts';
import { tasteDataset, toJsonl, type TinyFamily } from '../unit/training/support/tiny-task.ts';

/**
 * Registers version 1 of a base model and an adapter of a tenant, whose gate every version passes.
 * @param operator a client with the operator's key
 * @returns the identifier of the base model
 */
export async function registerTinyAdapter(operator: ReadaptClient, family: TinyFamily): Promise<string> {
  const client = operator;
  const { id: model } = await createBaseModel({ client, body: { name: 'tiny' } });
  const first = { version: '1', path: family.oldBase };
  await createBaseModelVersion({ client, path: { model }, body: first });
  const { id: tenantId } = await createTenant({ client, body: { name: 'acme' } });
  const query = { name: 'tastes', tenant_id: tenantId };
  const dataset = await createDataset({ client, query, body: new Blob([toJsonl(tasteDataset())]) });
  await createAdapter({
    client,
    body: {
      name: 'tastes',
      tenant_id: tenantId,
      base_model: model,
      dataset_id: dataset.id,
      metric: 'loss',
      gate: { kind: 'relative', margin: 10 },
      source: { base_model_version: '1', path: family.adapter },
    },
  });
  return model;
}
