export { createBaseModelRepository } from './base-model.repository.ts';
export { checkConfig, parseConfig } from './model-folder.ts';
