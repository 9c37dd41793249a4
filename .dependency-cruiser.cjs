/** Import rules of the house; `npm run lint` fails when one is broken. */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'service-never-imports-workers',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(workers|cli)/' },
    },
    {
      name: 'workers-never-import-the-command',
      severity: 'error',
      from: { path: '^workers/' },
      to: { path: '^cli/' },
    },
    {
      name: 'numerical-core-stands-alone',
      comment: 'engine, models, relora and formats know nothing of HTTP, queues or PostgreSQL and can be used alone',
      severity: 'error',
      from: { path: '^workers/(engine|models|relora|formats)/' },
      to: {
        path: '^(src|workers/(rollouts|adaptations|main)|node_modules/(fastify|bullmq|ioredis|pg|@prisma|@fastify))',
      },
    },
    {
      name: 'numerical-core-does-not-train',
      severity: 'error',
      from: { path: '^workers/(engine|models|relora|formats)/' },
      to: { path: '^workers/training/', pathNot: '^workers/training/example\\.ts$' },
    },
    {
      name: 'training-process-knows-no-service',
      comment: 'the training process speaks IPC only; parsing a dataset is the one thing it shares with the service',
      severity: 'error',
      from: { path: '^workers/training/' },
      to: { path: '^src/', pathNot: '^src/lib/dataset-jsonl\\.ts$' },
    },
    {
      name: 'only-repositories-query',
      comment: 'services reach the database through their repository; the client type may be named anywhere',
      severity: 'error',
      from: { path: '^src/modules/.*\\.(routes|schemas)\\.ts$' },
      to: { path: '^src/(generated|modules/.*\\.repository\\.ts$)', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'services-know-no-http',
      severity: 'error',
      from: { path: '^src/modules/.*\\.(service|repository)\\.ts$' },
      to: { path: '^node_modules/(fastify|@fastify)' },
    },
    {
      name: 'modules-meet-at-their-index',
      severity: 'error',
      from: { path: '^src/modules/([^/]+)/' },
      to: { path: '^src/modules/(?!$1/)[^/]+/(?!index\\.ts$)' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^src/generated/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};
