import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fp from 'fastify-plugin';
import { packageVersion } from '../../../core/installation/package-path.ts';
import { Problem } from '../../lib/schemas.ts';
import { describeAnswers, describeRoute, PROBLEM_RESPONSES } from './describe-answers.ts';
import { nameSchemas } from './name-schemas.ts';

const TAGS = [
  { name: 'Tenants', description: 'Who owns adapters.' },
  { name: 'API keys', description: 'Keys of the operator and of tenants.' },
  { name: 'Base models', description: 'Base models and their versions. A new version starts a rollout.' },
  { name: 'Datasets', description: 'Training and evaluation data, JSONL.' },
  { name: 'Adapters', description: 'LoRA adapters and their versions.' },
  { name: 'Rollouts', description: 'One base model version reaching the whole fleet.' },
  { name: 'Jobs', description: 'One adapter in a rollout.' },
  { name: 'Events', description: 'What happened.' },
  { name: 'Service', description: 'Health of the service.' },
];

const DESCRIPTION = `When the base model moves, every tenant's LoRA adapter moves with it.

Errors are problems by RFC 9457 with a stable \`code\`. Lists are \`{data, next_cursor}\`. Every POST takes an
\`Idempotency-Key\`: the same request with the same key is answered from the first one's answer for 24 hours. GETs
carry an \`ETag\`. Over the rate limit, 429 with \`Retry-After\`.`;

/** `identifier` is new in OpenAPI 3.1 and not in the plugin's types. */
const LICENSE: { name: string } = Object.assign({ name: 'Apache-2.0' }, { identifier: 'Apache-2.0' });

/** OpenAPI 3.1 from the routes' schemas, at /openapi.json and, readable, at /docs. */
export default fp(
  async (app) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: { title: 'Readapt', version: packageVersion(), description: DESCRIPTION, license: LICENSE },
        tags: TAGS,
        components: {
          securitySchemes: { apiKey: { type: 'http', scheme: 'bearer', bearerFormat: 'rdp_<prefix>_<secret>' } },
          schemas: { Problem: JSON.parse(JSON.stringify(Problem)) },
          responses: PROBLEM_RESPONSES,
        },
      },
      transform: ({ schema, url, route }) => ({ schema: describeRoute(schema, url, route), url }),
      transformObject: (document) =>
        nameSchemas(describeAnswers('openapiObject' in document ? document.openapiObject : document.swaggerObject)),
    });
    await app.register(swaggerUi, { routePrefix: '/docs', logLevel: 'warn' });
    app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => reply.send(app.swagger()));
  },
  { name: 'openapi' },
);
