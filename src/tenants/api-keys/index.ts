export { recordCommand } from './record-command.ts';
export { createApiKeyService, type ApiKeyService } from './api-key.service.ts';
export { createAuthenticator } from './authenticator.ts';
