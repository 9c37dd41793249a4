export { hasEmbeddedPostgres, startEmbeddedPostgres, type EmbeddedPostgres } from './postgres.ts';
