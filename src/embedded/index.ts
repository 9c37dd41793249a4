export { applyMigrations, hideMigrations, pendingMigrations, showMigrations } from './migrations.ts';
export { hasEmbeddedPostgres, startEmbeddedPostgres, type EmbeddedPostgres } from './postgres.ts';
