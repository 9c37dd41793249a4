import { randomBytes } from 'node:crypto';
import { SECRET_KEY_VARIABLE } from '../../platform/config/variables.ts';
import { AppError } from '../../platform/contract/errors.ts';
import type { SecretBox } from '../../platform/config/secret-box.ts';

/** A new secret as Standard Webhooks writes it. */
export const generateWebhookSecret = (): string => `whsec_${randomBytes(32).toString('base64')}`;

/** @throws AppError 503 `secret_key_missing` if secrets cannot be stored */
export function requireSecretBox(box: SecretBox | null): SecretBox {
  if (box !== null) return box;
  throw new AppError({
    code: 'secret_key_missing',
    status: 503,
    message:
      `webhooks are not set up: their secrets are stored encrypted, and the service has no key for that. ` +
      `The operator has to set ${SECRET_KEY_VARIABLE} to the output of \`openssl rand -base64 32\``,
  });
}
