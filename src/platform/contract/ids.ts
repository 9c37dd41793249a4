import { v7 as uuidv7 } from 'uuid';

/** Prefix of each kind of identifier. The rest is a UUIDv7, so identifiers sort by creation time. */
const PREFIXES = {
  tenant: 'ten',
  apiKey: 'key',
  baseModel: 'bm',
  baseModelVersion: 'bmv',
  baseModelUpload: 'bmu',
  evolution: 'evo',
  dataset: 'dst',
  adapter: 'adp',
  adapterVersion: 'adv',
  rollout: 'rol',
  forecast: 'rfc',
  job: 'job',
  event: 'evt',
  reservation: 'res',
  auditEntry: 'aud',
  worker: 'wrk',
  webhookEndpoint: 'whe',
  webhookSecret: 'whs',
  webhookDelivery: 'whd',
  replica: 'rep',
  replicaAdapter: 'rpa',
} as const;

/** Noun for each kind of identifier, with its article. */
export const ID_NOUNS: Readonly<Record<keyof typeof PREFIXES, string>> = {
  tenant: 'a tenant',
  apiKey: 'an API key',
  baseModel: 'a base model',
  baseModelVersion: 'a base model version',
  baseModelUpload: 'an upload of a base model',
  evolution: 'an evolution',
  dataset: 'a dataset',
  adapter: 'an adapter',
  adapterVersion: 'an adapter version',
  rollout: 'a rollout',
  forecast: 'a forecast',
  job: 'a job',
  event: 'an event',
  reservation: 'a reservation',
  auditEntry: 'an entry of the audit log',
  worker: 'a worker',
  webhookEndpoint: 'a webhook endpoint',
  webhookSecret: 'a secret of a webhook endpoint',
  webhookDelivery: 'a delivery to a webhook endpoint',
  replica: 'a replica of a serving engine',
  replicaAdapter: 'an adapter version on a replica',
};

export type IdKind = keyof typeof PREFIXES;

export function newId(kind: IdKind): string {
  return `${PREFIXES[kind]}_${uuidv7()}`;
}

/** Pattern of an identifier, for the schemas of routes. */
export function idPattern(kind: IdKind): string {
  return `^${PREFIXES[kind]}_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$`;
}
