// Speaks to the API with the session's cookie; failures are problems (RFC 9457).

let csrf = "";
let onSignedOut = () => {};

export class Problem extends Error {
  constructor(body) {
    super(body.detail || body.title);
    Object.assign(this, body);
  }
}

export function whenSignedOut(callback) {
  onSignedOut = callback;
}

export async function call(method, path, body) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  const answer = await fetch(`/api/v1${path}`, {
    method, headers, credentials: "same-origin", body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  const parsed = text ? JSON.parse(text) : null;
  if (answer.ok) return parsed;
  if (answer.status === 401 && path !== "/session") onSignedOut();
  throw new Problem({ status: answer.status, ...parsed });
}

export const get = (path) => call("GET", path);

export async function currentSession() {
  const session = await get("/session");
  csrf = session?.csrf ?? "";
  return session;
}

export async function signIn(token) {
  const session = await call("POST", "/session", { token });
  csrf = session.csrf;
  return session;
}

export async function signOut() {
  await call("DELETE", "/session");
  csrf = "";
}

// Server-sent events; the browser reconnects by itself. Gives the function that ends it.
export function listen(path, kind, handle) {
  const source = new EventSource(`/api/v1${path}`);
  source.addEventListener(kind, (event) => handle(JSON.parse(event.data)));
  return () => source.close();
}
