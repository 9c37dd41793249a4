import { readFileSync } from 'node:fs';
import { defineConfig } from '@hey-api/openapi-ts';

// Operations left out of the generated code: src/events reads streams of events, resumes them after an interruption,
// and ends when the service refuses.
const STREAMS = ['/v1/events/stream', '/v1/rollouts/{id}/events/stream', '/v1/jobs/{id}/events/stream'];

/** Reads the document without its examples, which the generator cannot use and warns of one by one. */
function documentWithoutExamples(): Record<string, unknown> {
  const file = new URL('../../openapi.json', import.meta.url);
  const isExamples = (name: string, value: unknown): boolean =>
    name === 'examples' && typeof value === 'object' && !Array.isArray(value) && !('type' in (value as object));
  const text = readFileSync(file, 'utf8');
  return JSON.parse(text, (name, value: unknown) => (isExamples(name, value) ? undefined : value)) as Record<
    string,
    unknown
  >;
}

export default defineConfig({
  input: documentWithoutExamples(),
  parser: { filters: { operations: { exclude: STREAMS.map((path) => `GET ${path}` as const) }, orphans: true } },
  output: { path: 'src/generated', importFileExtension: '.ts', clean: true },
  logs: { level: 'warn' },
  plugins: [
    '@hey-api/typescript',
    { name: '@hey-api/sdk', client: false, responseStyle: 'data' },
    { name: '@hey-api/client-fetch', throwOnError: true },
  ],
});
