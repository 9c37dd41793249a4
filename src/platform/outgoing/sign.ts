import { Webhook } from 'standardwebhooks';

/**
 * The headers of a message by Standard Webhooks, with a signature for each secret.
 *
 * @param message.id identifies the message, in every attempt
 * @param message.body exactly what is sent
 * @param secrets `whsec_…`, the newest first
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
