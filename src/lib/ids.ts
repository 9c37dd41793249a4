import { v7 as uuidv7 } from 'uuid';

/** The prefix of each kind of identifier. The rest is a UUIDv7, so that identifiers sort by their creation. */
const PREFIXES = {
  tenant: 'ten',
  apiKey: 'key',
  baseModel: 'bm',
  baseModelVersion: 'bmv',
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
} as const;

export type IdKind = keyof typeof PREFIXES;

export function newId(kind: IdKind): string {
  return `${PREFIXES[kind]}_${uuidv7()}`;
}

/** The pattern of an identifier, for schemas of routes. */
export function idPattern(kind: IdKind): string {
  return `^${PREFIXES[kind]}_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$`;
}
