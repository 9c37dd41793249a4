export { createAdapterService, type AdapterService } from './adapter.service.ts';
export { toAdapterVersion } from './adapter.mapper.ts';
export { AdapterVersion, Metric } from './adapter.schemas.ts';
