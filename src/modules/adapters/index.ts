export type { AdapterInspector } from './adapter-inspector.ts';
export { insertAdapterVersion, lockAdapter } from './adapter.repository.ts';
