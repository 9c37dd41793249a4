import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import type { WebhookMessage } from './generated/types.gen.ts';

export { WebhookVerificationError };
export type { WebhookMessage };

export interface ReceivedWebhook {
  /** The body as it arrived, before anything has parsed it. */
  readonly body: string | Uint8Array;
  /** The headers, whose names may be in any case. */
  readonly headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>;
}

/**
 * Verifies the signature and the time of a webhook (https://www.standardwebhooks.com), and returns its message. `data.id`, which is
 * also the header `webhook-id`, is the same in every attempt: drop what you have seen.
 *
 * @param secret the secret of the endpoint (`whsec_…`), or several while one is replaced by another
 * @throws WebhookVerificationError
 */
export function verifyWebhook(secret: string | readonly string[], received: ReceivedWebhook): WebhookMessage {
  const body = typeof received.body === 'string' ? received.body : new TextDecoder().decode(received.body);
  const headers = plainHeaders(received.headers);
  const secrets = typeof secret === 'string' ? [secret] : secret;
  let refusal: unknown = new WebhookVerificationError('no secret was given');
  for (const one of secrets) {
    try {
      return new Webhook(one).verify(body, headers) as WebhookMessage;
    } catch (error) {
      if (!(error instanceof WebhookVerificationError)) throw error;
      refusal = error;
    }
  }
  throw refusal;
}

function plainHeaders(headers: ReceivedWebhook['headers']): Record<string, string> {
  const entries = headers instanceof Headers ? [...headers] : Object.entries(headers);
  return Object.fromEntries(
    entries.flatMap(([name, value]) => (typeof value === 'string' ? [[name.toLowerCase(), value]] : [])),
  );
}
