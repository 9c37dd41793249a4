export { createJobRooms, type JobRoom } from './job-room.ts';
export { createQuotaCheck } from './quota-check.ts';
export { createUploadRooms, type UploadRoom, type UploadRooms } from './upload-room.ts';
