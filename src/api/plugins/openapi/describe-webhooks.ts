const EVENT = { $ref: '#/components/schemas/Event' };

/** Schema of a request to a webhook endpoint, in the format recommended by Standard Webhooks. */
const MESSAGE = {
  type: 'object',
  description: 'What is sent to a webhook endpoint: an event, in the form that Standard Webhooks recommends.',
  required: ['type', 'timestamp', 'data'],
  properties: {
    type: { $ref: '#/components/schemas/EventType' },
    timestamp: { type: 'string', format: 'date-time', description: 'When the event occurred.' },
    data: EVENT,
  },
};

const header = (name: string, description: string) => ({
  in: 'header',
  name,
  required: true,
  schema: { type: 'string' },
  description,
});

const RECEIVE_EVENT = {
  operationId: 'receiveEvent',
  security: [],
  // This tag differs from that of the endpoints, because client generators make one file of each tag's operations.
  tags: ['Webhook messages'],
  summary: 'An event is sent to a webhook endpoint',
  description:
    'Signed by Standard Webhooks: verify the signature with the secret of the endpoint before you use the ' +
    'body. An event may come more ' +
    'than once, and after later ones if an attempt has failed. Redirects are not followed.',
  parameters: [
    header('webhook-id', 'The identifier of the event, the same in every attempt: drop what you have seen before.'),
    header('webhook-timestamp', 'Seconds since 1970 at the attempt.'),
    header('webhook-signature', 'Signatures `v1,<base64>`, separated by spaces: one for each secret that is valid.'),
  ],
  requestBody: {
    required: true,
    content: { 'application/json': { schema: { $ref: '#/components/schemas/WebhookMessage' } } },
  },
  responses: {
    '2XX': { description: 'The event was taken.' },
    '410': { description: 'No more events are wanted: the endpoint is disabled.' },
    default: { description: 'The event is sent again later, up to ten times within three days.' },
  },
};

interface Described {
  components?: { schemas?: Record<string, unknown> };
}

/** Adds to the OpenAPI document the requests that the service itself sends to webhook endpoints. */
export function describeWebhooks<T>(document: T): T {
  const { components = {} } = document as Described;
  components.schemas = { ...components.schemas, WebhookMessage: MESSAGE };
  return { ...document, components, webhooks: { event: { post: RECEIVE_EVENT } } };
}
