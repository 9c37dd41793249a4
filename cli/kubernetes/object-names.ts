import { createHash } from 'node:crypto';

/** Longest name that is valid wherever Kubernetes takes a DNS label. */
const MAX_LABEL = 63;

/** Hexadecimal digits of the hash in a name: 40 bits, so that two of 10,000 names meet with a probability of 1 in 20,000 at most. */
const HASH_DIGITS = 10;

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** What {@link isObjectName} asks for, in words. */
export const OBJECT_NAME_EXPECTED = `up to ${MAX_LABEL} lower-case letters, digits and -, of which - is neither first nor last`;

/** Whether a text may name an object of any kind. */
export function isObjectName(text: string): boolean {
  return text.length <= MAX_LABEL && LABEL.test(text);
}

/** Joins parts, each of which is valid itself, to a name. One that is too long is cut and ends with a hash of the whole. */
export function joinName(...parts: readonly string[]): string {
  const whole = parts.filter((part) => part !== '').join('-');
  return whole.length <= MAX_LABEL ? whole : hashedName(whole);
}

/** The name of what belongs to a pool, or of a part of it, which no other pool's name can be taken for. */
export function partName(name: string, pool: string, prefix: string): string {
  return prefix === '' ? joinName(name, pool) : hashedName(`${name}.${pool}.${prefix}`);
}

/** A valid name for any text, which nothing else has: what can be read of it, and a hash. */
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
