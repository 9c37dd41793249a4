import { Webhook, WebhookVerificationError as Refusal } from 'standardwebhooks';
import { ReadaptError } from './errors.ts';
import type { WebhookMessage } from './generated/types.gen.ts';

export type { WebhookMessage };

/** Error of a webhook that is not signed with the secret, or is too old. */
export class WebhookVerificationError extends ReadaptError {
  override readonly name = 'WebhookVerificationError';
}

export interface ReceivedWebhook {
  /** Body as it arrived, before anything has parsed it. */
  readonly body: string | Uint8Array;
  /** Headers, with names in any case. */
  readonly headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>;
}

/**
 * Verifies the signature and the time of a webhook (https://www.standardwebhooks.com), and returns its message.
 * `data.id`, which is also the header `webhook-id`, is the same in every attempt: skip messages with an id that you
 * have seen.
 * @param secret the secret of the endpoint (`whsec_…`), or several during a rotation
 * @throws WebhookVerificationError
 */
export function verifyWebhook(secret: string | readonly string[], received: ReceivedWebhook): WebhookMessage {
  const body = typeof received.body === 'string' ? received.body : new TextDecoder().decode(received.body);
  const headers = plainHeaders(received.headers);
  const secrets = typeof secret === 'string' ? [secret] : secret;
  let reason = 'no secret was given';
  for (const one of secrets) {
    try {
      return new Webhook(one).verify(body, headers) as WebhookMessage;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      reason = error.message;
    }
  }
  throw new WebhookVerificationError(`the webhook is refused: ${reason}`);
}

function plainHeaders(headers: ReceivedWebhook['headers']): Record<string, string> {
  const entries = headers instanceof Headers ? [...headers] : Object.entries(headers);
  return Object.fromEntries(
    entries.flatMap(([name, value]) => (typeof value === 'string' ? [[name.toLowerCase(), value]] : [])),
  );
}
