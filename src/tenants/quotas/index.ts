export { createJobRooms, type JobRoom, type JobRooms } from './job-room.ts';
export { createQuotaCheck } from './quota-check.ts';
export { createUploadRooms, type UploadRoom, type UploadRooms } from './upload-room.ts';
