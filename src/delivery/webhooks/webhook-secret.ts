import { randomBytes } from 'node:crypto';
import { SETTINGS } from '../../platform/config/settings.ts';
import { AppError } from '../../platform/contract/errors.ts';
import type { SecretBox } from '../../platform/config/secret-box.ts';

/** Generates a secret for signing messages, in the format of Standard Webhooks. */
export const generateWebhookSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`;

/** Requires that the service has a key by which it encrypts secrets. @throws AppError 503 `secret_key_missing` */
export function requireSecretBox(box: SecretBox | null): SecretBox {
  if (box !== null) return box;
  throw new AppError({
    code: 'secret_key_missing',
    status: 503,
    message:
      `webhooks are not set up: their secrets are stored encrypted, and the service has no key for that. ` +
      `The operator has to set ${SETTINGS.secretKeys.variable} to the output of \`openssl rand -base64 32\``,
  });
}
