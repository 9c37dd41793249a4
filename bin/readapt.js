#!/usr/bin/env node
// A package runs the JavaScript in dist/. A checkout always runs its TypeScript sources, so that no stale build is ever
// run: tsx strips the types while Node loads the files.
import { existsSync } from 'node:fs';

const sources = new URL('../cli/main.ts', import.meta.url);
const isCheckout = existsSync(sources);
if (isCheckout) (await import('tsx/esm/api')).register();
// A reader such as `| head` may close the pipe early, which is no error. Shells use exit code 141 for it (SIGPIPE).
process.stdout.on('error', (error) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(141);
});
const { main } = await import(isCheckout ? sources.href : '../dist/cli/main.js');
process.exitCode = await main(process.argv.slice(2));
