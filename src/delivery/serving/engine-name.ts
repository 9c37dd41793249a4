/** Name by which a serving engine knows an adapter, or one version of it. */
export interface EngineName {
  /** Name of the tenant. */
  readonly tenant: string;
  /** Name of the adapter. */
  readonly adapter: string;
  /** Number of the adapter version. An engine name without a number is the alias of the current version. */
  readonly number?: number;
}

/** Largest version number that the database can store. */
const MAX_NUMBER = 2 ** 31 - 1;

/**
 * Largest number of characters of an engine's name that {@link parseEngineName} parses; it returns null for a longer
 * text. The percent-encoded names of a tenant and an adapter, which have at most 100 characters each, always fit.
 */
const MAX_CHARACTERS = 1024;

/**
 * Formats the name by which serving engines know an adapter (`acme.support`) or a version of it (`acme.support@3`). The
 * name can be used as a file name and in a URL, and {@link parseEngineName} parses it. All characters except letters,
 * digits, `-`, `_` and `.` are percent-encoded. So is a `.` at the beginning of an adapter's name, and every `.` in a
 * tenant's name, because the first `.` of the engine's name ends the tenant's name.
 *
 * @throws URIError if a name contains half of a surrogate pair, which no stored name does
 */
export function engineName({ tenant, adapter, number }: EngineName): string {
  const alias = `${encode(tenant).replaceAll('.', '%2E')}.${encode(adapter)}`;
  return number === undefined ? alias : `${alias}@${number}`;
}

/**
 * Parses the name by which an engine knows an adapter or a version of it. Returns null if {@link engineName} would
 * write the name differently.
 */
export function parseEngineName(text: string): EngineName | null {
  if (text.length > MAX_CHARACTERS) return null;
  const [, tenant = '', adapter = '', digits] = /^([^.@]+)\.([^@]+)(?:@([1-9]\d{0,9}))?$/.exec(text) ?? [];
  const number = digits === undefined ? undefined : Number(digits);
  if (number !== undefined && number > MAX_NUMBER) return null;
  const [decodedTenant, decodedAdapter] = [decode(tenant), decode(adapter)];
  if (!decodedTenant || !decodedAdapter) return null;
  const name = { tenant: decodedTenant, adapter: decodedAdapter, ...(number !== undefined && { number }) };
  return engineName(name) === text ? name : null;
}

/**
 * Percent-encodes a text, including the marks that `encodeURIComponent` keeps, because shells and file systems give
 * them a meaning.
 */
function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*~]|^\.+/g, (marks) =>
    [...marks].map((mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`).join(''),
  );
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
