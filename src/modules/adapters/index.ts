export { createAdapterInspector, type AdapterInspector } from './inspection/adapter-inspector.ts';
export { createAdapterService, type AdapterService } from './adapter.service.ts';
export { insertAdapterVersion, lockAdapter } from './adapter.repository.ts';
