import Type from 'typebox';
import { describeEventType, Failure } from './describe-event.ts';

const size = {
  bytes: Type.Integer({ description: 'Size of all files.' }),
  files: Type.Integer({ description: 'Number of files.' }),
};

/** Events of uploads of base models. Only the operator sees them. */
export const UPLOAD_EVENTS = {
  'base_model_upload.created': describeEventType('Somebody has begun to upload a base model.', size),
  'base_model_upload.part_received': describeEventType('A part of an upload has arrived.', {
    file: Type.String(),
    number: Type.Integer(),
  }),
  'base_model_upload.verifying': describeEventType('All parts of an upload are there, and are being checked.', {}),
  'base_model_upload.completed': describeEventType('An upload was checked: versions can be registered from it.', size),
  'base_model_upload.reopened': describeEventType('A file of an upload has to be sent again.', { error: Failure }),
  'base_model_upload.failed': describeEventType('What was uploaded is no model that can be taken.', { error: Failure }),
  'base_model_upload.deleted': describeEventType('An upload of a base model was removed.', {}),
  'base_model_upload.expired': describeEventType('An upload that nobody used any more was removed.', {}),
} as const;
