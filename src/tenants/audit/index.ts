export { writeAuditEntry } from './audit.repository.ts';
export { createAuditService } from './audit.service.ts';
