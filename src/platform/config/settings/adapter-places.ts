/** Placeholders in READAPT_ADAPTER_SOURCES for the name or identifier of the importing tenant. */
export const TENANT_NAME_SEGMENT = '{tenant}';
export const TENANT_ID_SEGMENT = '{tenant_id}';

const SEGMENT = "[A-Za-z0-9!_.*'()=+@ -]+";
const HUB_SEGMENT = '[A-Za-z0-9_-][A-Za-z0-9._-]{0,95}';
const PLACE = new RegExp(
  `^(hf://(${HUB_SEGMENT}(/${HUB_SEGMENT})?)?` +
    `|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/(?!\\.{1,2}(/|$))(${SEGMENT}|\\{tenant\\}|\\{tenant_id\\}))*)$`,
);

/** Whether a text is the URL of a hub or a bucket, or of a folder in one. */
export function isPlace(text: string): boolean {
  return PLACE.test(text);
}

/**
 * Whether the places can be used together. They cannot if, because of a tenant's name, whoever may read one place can
 * also read another tenant's folder in another place.
 */
export function standTogether(places: readonly string[]): boolean {
  const split = places.map((place) => place.split('/'));
  const perTenant = split.filter((segments) => segments.some(isTenant));
  return !split.some((place) => perTenant.some((other) => leadsInto(place, other)));
}

const isTenant = (segment: string): boolean => segment === TENANT_NAME_SEGMENT || segment === TENANT_ID_SEGMENT;

/**
 * Whether somebody who may read one place can also read another tenant's folder in the other place, because of a
 * tenant's name. With `s3://b/{tenant}` and `s3://b/archive/{tenant}`, a tenant with the name `archive` could read the
 * folders of all tenants in the second place.
 */
function leadsInto(place: readonly string[], other: readonly string[]): boolean {
  if (place.length > other.length) return false;
  const isSame = (segment: string, at: number): boolean => segment === other[at];
  const meets = place.every((segment, at) => isSame(segment, at) || isTenant(segment) || isTenant(other[at]!));
  return meets && !(place.every(isSame) && place.some(isTenant));
}
