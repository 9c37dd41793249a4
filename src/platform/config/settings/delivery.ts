import ipaddr from 'ipaddr.js';
import { folder, integerBetween, list } from './kinds.ts';
import type { Settings } from './setting.ts';

/** Pattern of 32 bytes in base64. */
export const SECRET_KEY_PATTERN = /^[A-Za-z0-9+/]{43}=$/;

/** Pattern of a Standard Webhooks secret of 24 to 64 bytes. */
const APPROVAL_SECRET = /^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/;

function isApprovalSecret(item: string): boolean {
  const encoded = item.replace(/^whsec_/, '');
  return APPROVAL_SECRET.test(item) && Buffer.from(encoded, 'base64').toString('base64') === encoded;
}

/** Kind of a list of address ranges in CIDR notation. */
const ranges = list({
  isItem: (item) => /^[0-9a-fA-F.:]+\/[0-9]{1,3}$/.test(item) && ipaddr.isValidCIDR(item),
  max: 1000,
  expected: 'ranges of addresses separated by ",", such as 10.20.0.0/16,fd12:3456::/32',
});

/** Settings of serving engines, webhooks and approvals, and of their secrets. */
export const DELIVERY = {
  servingFolder: {
    variable: 'READAPT_SERVING_FOLDER',
    kind: folder(),
    default: null,
    help: 'Folder from which serving engines take adapters, which the API keeps up to date.',
    page: 'serving.md#the-serving-folder',
    readBy: 'api',
  },
  servingGraceMs: {
    variable: 'READAPT_SERVING_GRACE_MS',
    kind: integerBetween({ min: 0, max: 2_592_000_000, unit: 'milliseconds' }),
    default: '900000',
    help: 'Time for which a version that is no longer current stays in the serving folder, in milliseconds.',
    readBy: 'api',
  },
  secretKeys: {
    variable: 'READAPT_SECRET_KEY',
    kind: list({
      isItem: (item) => SECRET_KEY_PATTERN.test(item),
      max: 10,
      expected:
        '32 random bytes in base64, as `openssl rand -base64 32` prints them, or several such keys separated by ","',
      isSecret: true,
    }),
    default: '',
    unset: 'a file, or none',
    help:
      'Key that encrypts secrets of webhooks, API keys of replicas and tokens of hubs. Of several, the first one ' +
      'encrypts and the others only decrypt. With the embedded PostgreSQL, the default is the file `secret-key` in ' +
      'the data folder.',
    page: 'webhooks.md#for-the-operator',
  },
  approvalSecrets: {
    variable: 'READAPT_APPROVAL_SECRET',
    kind: list({
      isItem: isApprovalSecret,
      max: 4,
      expected:
        '"whsec_" and 24 to 64 random bytes in base64, such as `echo whsec_$(openssl rand -base64 32)` prints, or ' +
        'several separated by ","',
      isSecret: true,
    }),
    default: '',
    help: 'Secret that signs requests for an approval; several all sign. It is the same for all APIs.',
    page: 'rollouts.md#approval-over-http',
    readBy: 'api',
  },
  webhookAllowedRanges: {
    variable: 'READAPT_WEBHOOK_ALLOWED_RANGES',
    kind: ranges,
    default: '',
    help: 'Ranges of addresses, besides public ones, to which webhooks may go; TLS is not required there.',
    page: 'webhooks.md#for-the-operator',
    readBy: 'api',
  },
  replicaAllowedRanges: {
    variable: 'READAPT_REPLICA_ALLOWED_RANGES',
    kind: ranges,
    default: '',
    help: 'Ranges of addresses, besides public ones, where replicas of engines may be; TLS is not required there.',
    page: 'replicas.md#settings',
    readBy: 'api',
  },
} satisfies Settings;
