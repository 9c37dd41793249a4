export { applyMigrations, pendingMigrations } from './migrations.ts';
export { hasEmbeddedPostgres, startEmbeddedPostgres, type EmbeddedPostgres } from './postgres.ts';
