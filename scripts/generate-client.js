// Generates the Prisma client from prisma/schema.prisma: in a checkout after `npm ci`, and before each build. `prisma
// generate` needs no schema engine but would try to download one. Given the path of any existing executable instead, it
// works even if only a package registry is reachable.
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';

const prisma = path.dirname(createRequire(import.meta.url).resolve('prisma/package.json'));
execFileSync(process.execPath, [path.join(prisma, 'build/index.js'), 'generate', '--no-hints'], {
  cwd: path.join(import.meta.dirname, '..'),
  stdio: 'inherit',
  env: {
    ...process.env,
    PRISMA_SCHEMA_ENGINE_BINARY: process.env.PRISMA_SCHEMA_ENGINE_BINARY ?? process.execPath,
    CHECKPOINT_DISABLE: '1',
  },
});
