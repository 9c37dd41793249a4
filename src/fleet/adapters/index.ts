export { createAdapterInspector, type AdapterInspector } from './inspection/adapter-inspector.ts';
export { toAdapter, toAdapterVersion } from './adapter.mapper.ts';
export {
  adapterExists,
  findAdapterRow,
  findAdapterVersion,
  insertAdapterVersion,
  lockAdapter,
} from './adapter.repository.ts';
export { createAdapterService, type AdapterService } from './adapter.service.ts';
export { AdapterResource, AdapterVersion } from './adapter.schemas.ts';
export { createCurrentVersionService } from './current/current-version.service.ts';
export { createAdapterSources } from './sources/adapter-sources.ts';
export { carriedFeatures } from './served-features.ts';
