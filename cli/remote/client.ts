// The one place from which commands take the client of the API.
export * from '../../openapi/clients/typescript/src/index.ts';
