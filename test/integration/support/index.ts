export { startRedis, type TestRedis } from './redis.ts';
export { createTestApp, type TestApp, type TestAppOptions } from './test-app.ts';
export { createTestDatabase, type TestDatabase } from './test-database.ts';
export { bearer, createTestKey, createTestTenant, type TestTenant } from './test-keys.ts';
