/** Problem of a row, without its file and line. The message never quotes the row's text. */
export class RowFault extends Error {}
