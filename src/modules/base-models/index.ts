export { createBaseModelRepository } from './base-model.repository.ts';
