export { createBaseModelRepository } from './base-model.repository.ts';
export { GivenFolder, GivenHub, GivenS3, SourceText } from './source.schemas.ts';
