// Type of the DOM that the generated client names and Node's own types lack. Only programs for Node include this file.
type BodyInit = NonNullable<RequestInit['body']>;
