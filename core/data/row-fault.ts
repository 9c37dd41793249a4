/** The problem of a row, without its place. The message never quotes the row's text. */
export class RowFault extends Error {}
