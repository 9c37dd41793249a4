export { createAdapterInspector, type AdapterInspector } from './inspection/adapter-inspector.ts';
export { insertAdapterVersion, lockAdapter } from './adapter.repository.ts';
