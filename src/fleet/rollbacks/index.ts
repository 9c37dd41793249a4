export { createRollbackService, rollbackRecoverySource } from './rollback.service.ts';
