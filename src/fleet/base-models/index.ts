export { isAtRisk } from './at-risk.repository.ts';
export { findBaseModel, findBaseModelVersion, findVersionOfModel } from './base-model.repository.ts';
export { checkConfig, parseConfig } from './version-source.ts';
export { GivenFolder, GivenHub, GivenS3, SourceText } from './source.schemas.ts';
