import Type from 'typebox';
import { ADAPTER_FETCH_TIMEOUT_VARIABLE, ADAPTER_HUB_TOKEN_VARIABLE, ADAPTER_SOURCES_VARIABLE } from '../variables.ts';

/** Placeholder in {@link ADAPTER_SOURCES_VARIABLE} for the name or identifier of the importing tenant. */
export const TENANT_NAME_SEGMENT = '{tenant}';
export const TENANT_ID_SEGMENT = '{tenant_id}';

const SEGMENT = "[A-Za-z0-9!_.*'()=+@ -]+";
const HUB_SEGMENT = '[A-Za-z0-9_-][A-Za-z0-9._-]{0,95}';
const PLACE_PATTERN =
  `^(hf://(${HUB_SEGMENT}(/${HUB_SEGMENT})?)?` +
  `|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/(?!\\.{1,2}(/|$))(${SEGMENT}|\\{tenant\\}|\\{tenant_id\\}))*)$`;

/** Settings of the imports of adapters by the API. */
export const ADAPTER_SOURCE_SCHEMA = {
  /** Places from which tenants may import: `hf://`, `hf://org`, `hf://org/name`, `s3://bucket/folder/{tenant}`. */
  adapterSources: Type.Array(Type.String({ pattern: PLACE_PATTERN }), { maxItems: 100 }),
  /** Token of the hub for tenants who give none; null asks it anonymously. */
  adapterHubToken: Type.Union([Type.String({ pattern: '^[\\x21-\\x7e]+$' }), Type.Null()]),
  /** Time limit for fetching an adapter, in milliseconds. */
  adapterFetchTimeoutMs: Type.Integer({ minimum: 100, maximum: 3_600_000 }),
};

const asText = (text: string): unknown => text;

export const ADAPTER_SOURCE_SETTINGS = {
  adapterSources: {
    variable: ADAPTER_SOURCES_VARIABLE,
    fallback: [],
    parse: parsePlaces,
    expected:
      'places separated by ",", such as hf://,s3://adapters/{tenant}; {tenant} and {tenant_id} are whole folders, ' +
      'and no tenant may have a name by which one place leads into the folders of tenants of another',
  },
  adapterHubToken: {
    variable: ADAPTER_HUB_TOKEN_VARIABLE,
    fallback: null,
    parse: asText,
    expected: 'a token of the hub',
    secret: true,
  },
  adapterFetchTimeoutMs: {
    variable: ADAPTER_FETCH_TIMEOUT_VARIABLE,
    fallback: 120_000,
    parse: (text: string): unknown => (/^\d{1,10}$/.test(text) ? Number(text) : text),
    expected: 'an integer from 100 to 3600000 (milliseconds)',
  },
};

/**
 * @returns the places without slashes at their ends; the text unchanged, which the schema refuses, if they cannot stand
 * beside each other
 */
function parsePlaces(text: string): unknown {
  const places = text.split(',').map((part) => part.trim().replace(/(?<=[^/:])\/+$/, ''));
  const split = places.map((place) => place.split('/'));
  const perTenant = split.filter((segments) => segments.some(isTenant));
  return split.some((place) => perTenant.some((other) => leadsInto(place, other))) ? text : places;
}

const isTenant = (segment: string): boolean => segment === TENANT_NAME_SEGMENT || segment === TENANT_ID_SEGMENT;

/**
 * Whether somebody who may read one place can read the folder of another tenant in the other place, by the name of
 * either: with `s3://b/{tenant}` and `s3://b/archive/{tenant}`, the tenant `archive` would read what all others have
 * there.
 */
function leadsInto(place: readonly string[], other: readonly string[]): boolean {
  if (place.length > other.length) return false;
  const isSame = (segment: string, at: number): boolean => segment === other[at];
  const meets = place.every((segment, at) => isSame(segment, at) || isTenant(segment) || isTenant(other[at]!));
  return meets && !(place.every(isSame) && place.some(isTenant));
}
