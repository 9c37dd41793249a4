// The generated client names this type of the DOM, which Node's own types do not declare. Only programs for Node include this file.
type BodyInit = NonNullable<RequestInit['body']>;
