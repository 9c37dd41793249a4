const { importRules } = require('./scripts/import-rules.cjs');

/** Import rules of the house; `npm run lint` fails when one is broken. */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    ...importRules(),
    {
      name: 'core-stands-alone',
      comment: 'the core knows nothing of HTTP, queues or databases',
      severity: 'error',
      from: { path: '^core/' },
      to: { path: '^node_modules/(fastify|bullmq|ioredis|pg|@prisma|@fastify)(/|$)' },
    },
    {
      name: 'service-loads-no-runtime',
      comment: 'what the service imports of the core loads neither TensorFlow.js nor ONNX Runtime',
      severity: 'error',
      from: { path: '^(src|core/(formats|options|models|linalg|statistics|method/gate))/' },
      to: { path: '^node_modules/(@tensorflow|onnxruntime)' },
    },
    {
      name: 'client-runs-in-browsers',
      comment:
        'what a page loads of the client imports nothing of Node and no package but that which verifies webhooks',
      severity: 'error',
      from: { path: '^openapi/clients/typescript/src/(?!node/)' },
      to: { dependencyTypes: ['core', 'npm'], pathNot: '^node_modules/standardwebhooks/' },
    },
    {
      name: 'only-repositories-query',
      comment:
        'only repositories use the database client, and what opens the connection; its types may be named anywhere',
      severity: 'error',
      from: {
        path: '^(src|workers|cli)/',
        pathNot: '(\\.repository\\.ts$|^src/platform/(database|config/reachable|embedded))',
      },
      to: { path: '^(src/platform/database/generated|node_modules/(pg|@prisma))', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'services-know-no-http',
      severity: 'error',
      from: { path: '^src/(?!api/).*\\.(service|repository)\\.ts$' },
      to: { path: '^node_modules/(fastify|@fastify)' },
    },
    {
      name: 'routes-reach-the-database-through-services',
      severity: 'error',
      from: { path: '^src/.*\\.(routes|schemas)\\.ts$' },
      to: { path: '^src/.*\\.repository\\.ts$', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'rooms-meet-at-their-index',
      severity: 'error',
      from: { path: '^src/(?:fleet|tenants|delivery|operations)/([^/]+)/' },
      to: { path: '^src/(?:fleet|tenants|delivery|operations)/(?!$1/)[^/]+/(?!index\\.ts$)' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules|/generated/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
