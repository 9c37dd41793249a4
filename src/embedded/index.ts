export { applyMigrations, MigrationError, pendingMigrations, readMigrations } from './migrations.ts';
export { startEmbeddedPostgres, type EmbeddedPostgres, type EmbeddedPostgresOptions } from './postgres.ts';
