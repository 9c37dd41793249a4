import ipaddr from 'ipaddr.js';

/** 32 bytes in base64. */
export const SECRET_KEY_PATTERN = '^[A-Za-z0-9+/]{43}=$';
export const KEYS_EXPECTED =
  '32 random bytes in base64, as `openssl rand -base64 32` prints them, or several such keys separated by ","';

/** Form of an address range. {@link parseRanges} refuses texts of this form that are no range. */
export const RANGE_PATTERN = '^[0-9a-fA-F.:]+/[0-9]{1,3}$';
export const RANGES_EXPECTED = 'ranges of addresses separated by ",", such as 10.20.0.0/16,fd12:3456::/32';

const listed = (text: string): string[] => text.split(',').map((part) => part.trim());

export const parseKeys = (text: string): unknown => listed(text);

/** @returns the ranges; the text unchanged if one of them is none, which the schema then refuses */
export function parseRanges(text: string): unknown {
  const ranges = listed(text);
  return ranges.every((range) => ipaddr.isValidCIDR(range)) ? ranges : text;
}

/** A secret of Standard Webhooks: 24 to 64 bytes. */
export const APPROVAL_SECRET_PATTERN = '^whsec_[A-Za-z0-9+/]{32,86}={0,2}$';
export const APPROVAL_SECRETS_EXPECTED =
  '"whsec_" and 24 to 64 random bytes in base64, such as `echo whsec_$(openssl rand -base64 32)` prints, or ' +
  'several separated by ","';

/** @returns the secrets; the text unchanged if one of them is no base64, which the schema then refuses */
export function parseApprovalSecrets(text: string): unknown {
  const secrets = listed(text);
  const isEncoded = (part: string): boolean => Buffer.from(part, 'base64').toString('base64') === part;
  return secrets.every((secret) => isEncoded(secret.replace(/^whsec_/, ''))) ? secrets : text;
}
