export { applyMigrations, hideMigrations, pendingMigrations, showMigrations } from './migrations.ts';
export { confinementProblem } from './tenant-role.ts';
export { hasEmbeddedPostgres, startEmbeddedPostgres, type EmbeddedPostgres } from './postgres.ts';
