export { createBaseModelService, type BaseModelService } from './base-model.service.ts';
export { createBaseModelRepository, type BaseModelVersionRow } from './base-model.repository.ts';
