#!/usr/bin/env node
// A package runs the JavaScript in dist/. A checkout runs its TypeScript sources, whether or not it has a dist/, so
// that no stale build is ever run: tsx strips the types while Node loads them.
import { existsSync } from 'node:fs';

const sources = new URL('../cli/main.ts', import.meta.url);
const isCheckout = existsSync(sources);
if (isCheckout) (await import('tsx/esm/api')).register();
// A reader such as `| head` may close the pipe early. That needs no message; shells know it by this exit code.
process.stdout.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(141);
});
const { main } = await import(isCheckout ? sources.href : '../dist/cli/main.js');
process.exitCode = await main(process.argv.slice(2));
