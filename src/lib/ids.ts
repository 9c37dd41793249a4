import { v7 as uuidv7 } from 'uuid';

/** Prefix of each kind of identifier; the rest is a UUIDv7, so that identifiers sort by creation. */
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
  job: 'job',
  event: 'evt',
} as const;

export type IdKind = keyof typeof PREFIXES;

export function newId(kind: IdKind): string {
  return `${PREFIXES[kind]}_${uuidv7()}`;
}

/** Pattern of an identifier in route schemas. */
export function idPattern(kind: IdKind): string {
  return `^${PREFIXES[kind]}_[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$`;
}
