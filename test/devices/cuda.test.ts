import { deviceSuite } from './support/device-suite.ts';

await deviceSuite('cuda', { half: true });
