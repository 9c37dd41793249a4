export { applyMigrations, pendingMigrations } from './migrations.ts';
export { startEmbeddedPostgres, type EmbeddedPostgres } from './postgres.ts';
