import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

const KEY_PATTERN = /^rdp_([0-9a-f]{12})_([A-Za-z0-9_-]{43})$/;

export interface GeneratedKey {
  /** Key in the format `rdp_<prefix>_<secret>`. It is shown once and never stored. */
  key: string;
  prefix: string;
  /** SHA-256 of the secret, hexadecimal. The secret has 256 random bits, so no slow hash is needed. */
  secretHash: string;
}

export function generateApiKey(): GeneratedKey {
  const prefix = randomBytes(6).toString('hex');
  const secret = randomBytes(32).toString('base64url');
  return { key: `rdp_${prefix}_${secret}`, prefix, secretHash: hashSecret(secret) };
}

function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Splits a key into its parts; null if the text does not have the format of a key. */
export function parseApiKey(key: string): { prefix: string; secret: string } | null {
  const match = KEY_PATTERN.exec(key);
  const prefix = match?.[1];
  const secret = match?.[2];
  return prefix === undefined || secret === undefined ? null : { prefix, secret };
}

/** Compares a secret with its stored hash in constant time. */
export function secretMatches(secret: string, secretHash: string): boolean {
  const found = Buffer.from(hashSecret(secret), 'hex');
  const expected = Buffer.from(secretHash, 'hex');
  return found.length === expected.length && timingSafeEqual(found, expected);
}

/** Whether a key has neither been revoked nor expired. */
export function isUsable({ revokedAt, expiresAt }: { revokedAt: Date | null; expiresAt: Date | null }): boolean {
  return revokedAt === null && (expiresAt === null || expiresAt.getTime() > Date.now());
}
