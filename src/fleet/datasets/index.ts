export { datasetExists, findDataset } from './dataset.repository.ts';
export { createDatasetService, toDataset, type DatasetService } from './dataset.service.ts';
export { Dataset } from './dataset.schemas.ts';
export { adviceOn, GateAdviceResource } from './gate-advice.ts';
