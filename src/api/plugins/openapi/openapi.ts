import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fp from 'fastify-plugin';
import { packageVersion } from '../../../../core/installation/package-path.ts';
import { describeAnswers, describeRoute, PROBLEM_RESPONSES } from './describe-answers.ts';
import { describePages } from './describe-pages.ts';
import { describeWebhooks } from './describe-webhooks.ts';
import { describeExamples } from './examples/describe-examples.ts';
import { useGeneratorForms } from './generator-forms.ts';
import { nameSchemas } from './name-schemas.ts';
import { Problem } from './problem.schema.ts';

const TAGS = [
  { name: 'Tenants', description: 'The owners of adapters and datasets.' },
  { name: 'API keys', description: 'The keys of operators and of tenants.' },
  { name: 'Base models', description: 'Base models and their versions. Registering a new version starts a rollout.' },
  { name: 'Datasets', description: 'The training, search and gate rows of adapters, as JSONL.' },
  { name: 'Adapters', description: 'LoRA adapters and their versions.' },
  { name: 'Serving', description: 'Which version of an adapter engines are to serve on which base model version.' },
  { name: 'Rollouts', description: 'A rollout carries every adapter over to one new base model version.' },
  { name: 'Jobs', description: 'A job carries one adapter over in a rollout, or trains its control from scratch.' },
  { name: 'Workers', description: 'The processes that carry adapters over, and what they are doing.' },
  { name: 'Reports', description: 'How long rollouts took, for whom, and what they cost.' },
  { name: 'Events', description: 'A record of everything that has happened.' },
  { name: 'Audit log', description: 'Who has changed what.' },
  { name: 'Replicas', description: 'Running processes of serving engines, in which adapters are loaded and unloaded.' },
  { name: 'Webhooks', description: 'Where events are sent, signed by Standard Webhooks.' },
  { name: 'Webhook messages', description: 'What is sent to webhook endpoints.' },
  { name: 'Service', description: 'The health of the service.' },
];

const DESCRIPTION = `When the base model moves, every tenant's LoRA adapter moves with it.

**Errors** are problems by RFC 9457 with a stable \`code\`.

**Retries.** Every POST accepts an \`Idempotency-Key\`: for 24 hours the same request with the same key gets the \
answer of the first one. A
key that makes too many requests gets the status 429 with \`Retry-After\`.

**Pages.** A list is \`{data, next_cursor}\`: pass \`next_cursor\` as \`cursor\` until it is null. Lists that grow \
at their end, of events, entries
of the audit log and metrics, run the other way: pass \`next_after\` as \`after\`, or \`next_since_id\` as \
\`since_id\`, for what is new.

**Polling.** Answers to GETs have an \`ETag\`; sent back as \`If-None-Match\`, an unchanged answer is an empty 304. \
Follow a fleet by
\`GET /v1/jobs\` with \`changed_after\`, and what happens by a stream of events or a webhook.

**Changes.** Within \`/v1\`, members, operations, parameters, codes, types of events and values of enumerations are \
only added: pass over what
you do not know. What is to go is marked as \`deprecated\` here, works for at least two further minor versions and \
six months, and is named in the changelog when
it is marked and when it goes.`;

/**
 * Addresses of the service, for the OpenAPI document. A client that fetched the document from a running service uses
 * the first one, which is relative to that service.
 */
const SERVERS = [
  { url: '/', description: 'The service that has answered with this document.' },
  { url: 'http://127.0.0.1:8420', description: '`readapt serve` on this machine.' },
];

const API_KEY = {
  type: 'http',
  scheme: 'bearer',
  bearerFormat: 'rdp_<prefix>_<secret>',
  description:
    'Each operation names the least scopes of which a key needs one. A key with `operator` may do ' +
    'everything, and one with ' +
    '`operator:read` may read everything; `tenant:admin` includes `tenant:write`, which includes ' +
    '`tenant:read`, which ' +
    'includes `serving:read`.',
} as const;

const CONTACT = { name: 'The Readapt project' };

/**
 * License of the API, for the OpenAPI document. The type of the Fastify plugin lacks the field `identifier`, which is
 * new in OpenAPI 3.1.
 */
const LICENSE: { name: string } = Object.assign({ name: 'Apache-2.0' }, { identifier: 'Apache-2.0' });

/**
 * Completes the OpenAPI document: adds what all routes share, examples, pagination and webhooks, and rewrites schemas
 * in forms that client generators understand.
 */
function describe<T>(document: T): T {
  return describeExamples(describePages(useGeneratorForms(describeWebhooks(nameSchemas(describeAnswers(document))))));
}

/** Serves the OpenAPI 3.1 document of the routes at /openapi.json, and as a web page at /docs. */
export default fp(
  async (app) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Readapt',
          version: packageVersion(),
          description: DESCRIPTION,
          license: LICENSE,
          contact: CONTACT,
        },
        servers: SERVERS,
        tags: TAGS,
        components: {
          securitySchemes: { apiKey: API_KEY },
          schemas: { Problem: JSON.parse(JSON.stringify(Problem)) },
          responses: PROBLEM_RESPONSES,
        },
      },
      transform: ({ schema, url, route }) => ({ schema: describeRoute(schema, url, route), url }),
      transformObject: (document) =>
        describe('openapiObject' in document ? document.openapiObject : document.swaggerObject),
    });
    await app.register(swaggerUi, { routePrefix: '/docs', logLevel: 'warn' });
    // The document is public and has no rate limit, but takes 700 ms to render, so it is rendered once, at the first
    // request.
    let text: Buffer | undefined;
    const document = () => (text ??= Buffer.from(JSON.stringify(app.swagger())));
    app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) =>
      reply.type('application/json; charset=utf-8').send(document()),
    );
  },
  { name: 'openapi' },
);
