export { applyMigrations, pendingMigrations } from './migrations.ts';
export { confinementProblem } from './confinement/tenant-role.ts';
export { hasEmbeddedPostgres, startEmbeddedPostgres, type EmbeddedPostgres } from './postgres.ts';
