import { createHash } from 'node:crypto';

/** Longest object name, in characters, that is valid wherever Kubernetes takes a DNS label. */
const MAX_LABEL = 63;

/**
 * Number of hexadecimal digits of the hash in a name: 40 bits, so that two of 10,000 names collide with a probability
 * of at most 1 in 20,000.
 */
const HASH_DIGITS = 10;

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** Description of a valid object name, for error messages. */
export const OBJECT_NAME_EXPECTED =
  `up to ${MAX_LABEL} lower-case letters, ` + 'digits and -, of which - is neither first nor last';

/** Whether a text may name an object of any kind. */
export function isObjectName(text: string): boolean {
  return text.length <= MAX_LABEL && LABEL.test(text);
}

/** Joins valid parts to a name. A name that is too long is cut and ends with a hash of the whole. */
export function joinName(...parts: readonly string[]): string {
  const whole = parts.filter((part) => part !== '').join('-');
  return whole.length <= MAX_LABEL ? whole : hashedName(whole);
}

/**
 * Returns the name of a pool's object. If the object is split into parts, the prefix identifies the part, and the name
 * contains a hash, so that the objects of other pools have other names.
 */
export function partName(name: string, pool: string, prefix: string): string {
  return prefix === '' ? joinName(name, pool) : hashedName(`${name}.${pool}.${prefix}`);
}

/** Turns any text into a valid and unique name: its readable part and a hash. */
export function hashedName(text: string): string {
  const readable = text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, MAX_LABEL - HASH_DIGITS - 1)
    .replace(/-+$/, '');
  return [readable, hashOf(text).slice(0, HASH_DIGITS)].filter((part) => part !== '').join('-');
}

/** SHA-256 in hexadecimal digits. */
export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
