import { deviceSuite } from './support/device-suite.ts';

await deviceSuite('webgpu', { half: true });
