// Names of settings that messages of other modules name.

/** The variable of the limit that a refused JSON body names. */
export const BODY_LIMIT_VARIABLE = 'READAPT_BODY_LIMIT_BYTES';
/** The variables of limits that a refused upload names. */
export const UPLOAD_LIMIT_VARIABLE = 'READAPT_UPLOAD_LIMIT_BYTES';
export const ROW_LIMIT_VARIABLE = 'READAPT_DATASET_ROW_LIMIT';
/** The variable that a reader of events is told of who comes too late. */
export const EVENT_RETENTION_VARIABLE = 'READAPT_EVENT_RETENTION_DAYS';
export const AUDIT_RETENTION_VARIABLE = 'READAPT_AUDIT_RETENTION_DAYS';
export const API_CONNECTIONS_VARIABLE = 'READAPT_API_CONNECTIONS';
export const WORKER_CONNECTIONS_VARIABLE = 'READAPT_WORKER_CONNECTIONS';
/** The variables of limits that a refused stream of events names. */
export const EVENT_STREAMS_VARIABLE = 'READAPT_EVENT_STREAMS';
export const TENANT_EVENT_STREAMS_VARIABLE = 'READAPT_TENANT_EVENT_STREAMS';
export const SECRET_KEY_VARIABLE = 'READAPT_SECRET_KEY';
/** The variable that a refused webhook address names. */
export const WEBHOOK_RANGES_VARIABLE = 'READAPT_WEBHOOK_ALLOWED_RANGES';
/** The variable that a refused address of a replica names. */
export const REPLICA_RANGES_VARIABLE = 'READAPT_REPLICA_ALLOWED_RANGES';
export const APPROVAL_SECRET_VARIABLE = 'READAPT_APPROVAL_SECRET';
export const WORKER_METRICS_VARIABLE = 'READAPT_WORKER_METRICS_PORT';
export const ROW_SECURITY_VARIABLE = 'READAPT_ROW_SECURITY';
export const SERVING_FOLDER_VARIABLE = 'READAPT_SERVING_FOLDER';
/** The variables that a fault of a source of base models names. */
export const HUB_URL_VARIABLE = 'READAPT_HUB_URL';
export const HUB_TOKEN_VARIABLE = 'READAPT_HUB_TOKEN';
export const BASE_CACHE_DIR_VARIABLE = 'READAPT_BASE_CACHE_DIR';
export const BASE_CACHE_BYTES_VARIABLE = 'READAPT_BASE_CACHE_BYTES';
export const BASE_STREAMS_VARIABLE = 'READAPT_BASE_FETCH_STREAMS';
/** The variables that a refused import of an adapter names. */
export const ADAPTER_SOURCES_VARIABLE = 'READAPT_ADAPTER_SOURCES';
export const ADAPTER_HUB_TOKEN_VARIABLE = 'READAPT_ADAPTER_HUB_TOKEN';
export const ADAPTER_FETCH_TIMEOUT_VARIABLE = 'READAPT_ADAPTER_FETCH_TIMEOUT_MS';
/** The variables of limits that a refused upload of a base model names. */
export const BASE_UPLOAD_BYTES_VARIABLE = 'READAPT_BASE_UPLOAD_BYTES';
export const BASE_UPLOADS_VARIABLE = 'READAPT_BASE_UPLOADS';
/** The variables that messages about the artifact store name. */
export const ARTIFACTS_VARIABLE = 'READAPT_ARTIFACTS';
export const S3_ENDPOINT_VARIABLE = 'READAPT_S3_ENDPOINT';
export const S3_ENCRYPTION_VARIABLE = 'READAPT_S3_ENCRYPTION';
export const S3_PUBLIC_ENDPOINT_VARIABLE = 'READAPT_S3_PUBLIC_ENDPOINT';
/**
 * Endpoint of the tracing collector. Its URL may hold a password, so processes hand it on in their environment alone.
 */
export const OTLP_ENDPOINT_VARIABLE = 'OTEL_EXPORTER_OTLP_ENDPOINT';
export const S3_PRESIGN_SECONDS_VARIABLE = 'READAPT_S3_PRESIGN_SECONDS';
