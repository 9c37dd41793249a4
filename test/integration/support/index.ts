export { clockAhead } from './clock-ahead.ts';
export { startRedis } from './redis.ts';
export { createTestApp, type TestApp } from './test-app.ts';
export { unknownEvent } from './test-events.ts';
export { createTestDatabase, type TestDatabase } from './test-database.ts';
export { untilReadable } from './until-readable.ts';
export { bearer, createTestKey, createTestTenant, type TestTenant } from './test-keys.ts';
