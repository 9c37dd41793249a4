export { createBaseModelService, type BaseModelService } from './base-model.service.ts';
export { createBaseModelRepository, type BaseVersionRow } from './base-model.repository.ts';
