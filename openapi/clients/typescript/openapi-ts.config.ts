import { defineConfig } from '@hey-api/openapi-ts';

// Streams of events are read by src/events, which goes on after an interruption and ends when the service refuses it.
const STREAMS = ['/v1/events/stream', '/v1/rollouts/{id}/events/stream', '/v1/jobs/{id}/events/stream'];

export default defineConfig({
  input: '../../openapi.json',
  parser: { filters: { operations: { exclude: STREAMS.map((path) => `GET ${path}` as const) }, orphans: true } },
  output: { path: 'src/generated', importFileExtension: '.ts', clean: true },
  logs: { level: 'warn' },
  plugins: [
    '@hey-api/typescript',
    { name: '@hey-api/sdk', client: false, responseStyle: 'data' },
    { name: '@hey-api/client-fetch', throwOnError: true },
  ],
});
