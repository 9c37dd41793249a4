import { Webhook } from 'standardwebhooks';

/**
 * Creates the headers of a Standard Webhooks message, with a signature for each secret.
 *
 * @param message.id identifier of the message, the same in every attempt
 * @param message.body exact text that is sent
 * @param secrets secrets of the form `whsec_…`, newest first
 */
export function signedHeaders(
  message: { readonly id: string; readonly body: string; readonly at: Date },
  secrets: readonly string[],
): Record<string, string> {
  const { id, body, at } = message;
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, at, body)).join(' '),
  };
}
